# SPDX-License-Identifier: Apache-2.0
"""The command that looks at everything the agent needs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from facelatch.cli.calls import print_json
from facelatch.cli.options import Exit, config_option, json_option, told


@click.command()
@config_option
@json_option
@told
def doctor(path: Path, as_json: bool) -> None:
    """Look at everything the agent needs, and say what is wrong with what and the remedy; changes nothing.

    Exit status: 0 when nothing is missing or failed (weak is allowed), else 2.
    """
    from facelatch.daemon.hardening import keep_memory_private
    from facelatch.diagnosis import diagnose

    keep_memory_private()  # the device key and the opened records are about to be in it
    findings = []
    for finding in diagnose(path):
        findings.append(finding)
        if not as_json:
            click.echo(str(finding))
    healthy = not any(finding.serious for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": findings})
    sys.exit(Exit.YES if healthy else Exit.ERROR)
