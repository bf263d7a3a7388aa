# SPDX-License-Identifier: Apache-2.0
"""A module's source with one small fault in it, for every place where one fits. Knows nothing of tests."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
# Evaluated by nobody (postponed annotations), or run before a test could look.
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "bases"}


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        line: where.
        change: what was there, and what is there now.
        tree: the whole module with it.
    """

    line: int
    change: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Give every mutant of a module, in the order of its lines; the words of errors and of docstrings stay as they are.

    Args:
        source: the module's text.
    """
    tree = ast.parse(source)
    found = sorted(_sites(tree), key=lambda site: (site.old.lineno, site.old.col_offset))
    for site in found:
        mutated = copy.deepcopy(tree)
        parent = list(ast.walk(mutated))[site.parent]
        if site.position is None:
            setattr(parent, site.field, site.new)
        else:
            getattr(parent, site.field)[site.position] = site.new
        yield Mutant(site.old.lineno, f"{_told(site.old)} -> {_told(site.new)}", ast.fix_missing_locations(mutated))


@dataclass(frozen=True)
class _Site:
    """A child of the parent-th node of a walk through the tree, and what takes its place."""

    parent: int
    field: str
    position: int | None
    old: ast.expr | ast.stmt | ast.excepthandler
    new: ast.AST


def _sites(tree: ast.Module) -> Iterator[_Site]:
    silent = _silent(tree)
    for index, parent in enumerate(ast.walk(tree)):
        if parent in silent:
            continue
        for field, value in ast.iter_fields(parent):
            if field in _SKIPPED_FIELDS:
                continue
            for position, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.expr | ast.stmt | ast.excepthandler) and child not in silent:
                    for new in _replacements(child):
                        yield _Site(index, field, position, child, ast.copy_location(new, child))


def _silent(tree: ast.Module) -> set[ast.AST]:
    """Find what is not to be mutated: annotations, decorators, docstrings, imports, and the making of errors."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr) or _is_text(node) or _makes_error(node):
            roots.append(node)
        for field in _SKIPPED_FIELDS:
            value = getattr(node, field, None)
            roots += value if isinstance(value, list) else [value] if isinstance(value, ast.AST) else []
    return {inner for root in roots for inner in ast.walk(root)}


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _makes_error(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    name = called.id if isinstance(called, ast.Name) else ""
    return name.endswith("Error") or name == "_require"


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for number, operator in enumerate(ops):
                other = _COMPARISONS[type(operator)]()
                yield ast.Compare(node.left, [*ops[:number], other, *ops[number + 1 :]], node.comparators)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for number in range(len(values)):
                rest = [*values[:number], *values[number + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.AugAssign(target, operator, value) if type(operator) in _OPERATORS:
            yield ast.AugAssign(target, _OPERATORS[type(operator)](), value)
        case ast.Constant(value=value):
            yield from _constants(value)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Subscript(value=value, slice=ast.Slice(lower, upper, step), ctx=ctx):
            if lower is not None:
                yield ast.Subscript(value, ast.Slice(None, upper, step), ctx)
            if upper is not None:
                yield ast.Subscript(value, ast.Slice(lower, None, step), ctx)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp() if node.generators[0].ifs:
            unfiltered = copy.deepcopy(node)
            unfiltered.generators[0].ifs = []
            yield unfiltered
        case _:
            yield from _statements(node)


def _constants(value: object) -> Iterator[ast.AST]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        case str():
            yield ast.Constant(value + "!")
        case bytes():
            yield ast.Constant(value + b"!")


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.If(body=body, orelse=orelse):
            yield ast.If(ast.Constant(True), body, orelse)
            yield ast.If(ast.Constant(False), body, orelse)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.ExceptHandler(type=ast.expr(), name=name, body=body):
            yield ast.ExceptHandler(ast.Tuple([], ast.Load()), name, body)


def _told(node: ast.AST) -> str:
    """Write a node on one line, and not more of it than tells which it is."""
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    if isinstance(node, ast.ExceptHandler):
        return f"except {ast.unparse(node.type) if node.type else ''}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."
