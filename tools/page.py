# SPDX-License-Identifier: Apache-2.0
"""The look of a report: one HTML page with inline pictures, without scripts and without anything from elsewhere."""

from __future__ import annotations

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2329; --soft: #69747d; --grid: #e4e8eb; --own: #1f6fb5;
  --other: #c8591a; --failed: #c22f4a; --card: #f5f7f8; }
@media (prefers-color-scheme: dark) { :root { --page: #14181b; --ink: #e4e9ec; --soft: #93a0a9; --grid: #2b3237;
  --own: #62aef0; --other: #f0955c; --failed: #f2778c; --card: #1d2327; } }
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 72rem; padding: 1.2rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 .3rem; }
p { margin: .3rem 0; } .soft, figcaption { color: var(--soft); font-size: .92rem; }
.warn { border-left: 4px solid var(--failed); padding: .4rem .8rem; background: var(--card); margin: .8rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tiles div { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  align-items: start; margin: 0 0 1rem; }
section { background: var(--card); border-radius: .6rem; padding: .9rem; margin: 0 0 1rem; min-width: 0; }
.pictures section { margin: 0; } figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } svg .note { fill: var(--ink); }
svg .note.own { fill: var(--own); } svg .note.other { fill: var(--other); }
.grid { stroke: var(--grid); fill: none; } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.own { stroke: var(--own); } .line.other { stroke: var(--other); } .line.faint { stroke: var(--grid);
  stroke-width: 5; stroke-linecap: round; } .line.mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
.area { fill-opacity: .55; } .area.own { fill: var(--own); } .area.other { fill: var(--other); }
.dot { fill: var(--own); fill-opacity: .75; } .dot.failed { fill: var(--failed); } .dot.mark { fill: var(--ink); }
.dot.same { fill: none; stroke: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; } td, th { text-align: left; padding: .2rem .5rem;
  border-bottom: 1px solid var(--grid); vertical-align: top; overflow-wrap: anywhere; }
.bar { display: block; height: .4rem; border-radius: .2rem; background: linear-gradient(var(--failed) 0 0) no-repeat
  var(--grid); min-width: 4rem; } summary { cursor: pointer; }
"""


def html(title: str, body: str) -> str:
    """Return a page; both are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
