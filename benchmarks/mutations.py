"""Small mistakes made in a Python program on purpose, of many kinds (DeMillo, Lipton and Sayward 1978).

`mutants(code)` gives programs that differ from it in one place. Docstrings, annotations and imports are left as they are.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Mutant:
    kind: str
    line: int
    code: str


Edit = Callable[[ast.AST, "Scope"], Iterator[ast.AST]]


@dataclass(frozen=True)
class Scope:
    """What an edit may know of where it works: the names that are in use in the program."""

    names: tuple[str, ...]


OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult), ast.Sub: (ast.Add,), ast.Mult: (ast.Add, ast.Pow), ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mod), ast.Mod: (ast.FloorDiv, ast.Mult), ast.Pow: (ast.Mult,), ast.BitAnd: (ast.BitOr, ast.BitXor),
    ast.BitOr: (ast.BitAnd, ast.BitXor), ast.BitXor: (ast.BitOr, ast.BitAnd), ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,),
}  # fmt: skip
BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.LtE, ast.NotEq: ast.Gt
}  # fmt: skip
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
TWINS = {
    "min": "max", "max": "min", "any": "all", "all": "any", "sum": "max", "len": "sum", "sorted": "list", "set": "list", "list": "sorted",
    "reversed": "list", "abs": "int", "int": "float", "float": "int", "round": "int", "upper": "lower", "lower": "upper",
    "append": "remove", "isdigit": "isalpha", "isalpha": "isalnum", "isupper": "islower", "islower": "isupper", "search": "match",
    "match": "search", "findall": "split", "ceil": "floor", "floor": "ceil", "sin": "cos", "cos": "sin", "union": "intersection",
    "intersection": "union", "startswith": "endswith", "endswith": "startswith", "keys": "values", "values": "keys", "lstrip": "rstrip",
    "rstrip": "lstrip", "strip": "rstrip", "nlargest": "nsmallest", "nsmallest": "nlargest", "find": "rfind", "index": "count",
    "map": "filter", "filter": "map", "product": "permutations", "combinations": "permutations", "fullmatch": "match",
}  # fmt: skip


def boundary(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    yield from comparisons(node, BOUNDARIES)


def opposite(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    yield from comparisons(node, OPPOSITES)


def comparisons(node: ast.AST, table: Mapping[type[ast.cmpop], type[ast.cmpop]]) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in table:
                yield changed(node, ops=[*node.ops[:i], table[type(op)](), *node.ops[i + 1 :]])


def operator(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        yield from (changed(node, op=other()) for other in OPERATORS.get(type(node.op), ()))


def off_by_one(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """Arguments of `range`, indices, and ends of slices."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        for i, argument in enumerate(node.args[:2]):
            yield from (changed(node, args=[*node.args[:i], moved, *node.args[i + 1 :]]) for moved in both_ways(argument))
    elif isinstance(node, ast.Slice):
        yield from (changed(node, lower=moved) for moved in both_ways(node.lower))
        yield from (changed(node, upper=moved) for moved in both_ways(node.upper))
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name | ast.BinOp | ast.Constant):
        yield from (changed(node, slice=moved) for moved in both_ways(node.slice))


def both_ways(value: ast.expr | None) -> Iterator[ast.expr]:
    if value is not None and not (isinstance(value, ast.Constant) and not isinstance(value.value, int)):
        yield ast.BinOp(value, ast.Add(), ast.Constant(1))
        yield ast.BinOp(value, ast.Sub(), ast.Constant(1))


def number(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(value) for value in (node.value + 1, node.value - 1, -node.value) if value != node.value)


def text(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """A character lost, doubled or changed, or all of them lost."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        s = node.value
        for i, c in list(enumerate(s))[:12]:
            yield from (ast.Constant(s[:i] + new + s[i + 1 :]) for new in ("", c.swapcase(), c + c) if new != c)
        yield ast.Constant("" if s else "x")


def negated_condition(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield changed(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield changed(node, ifs=[ast.UnaryOp(ast.Not(), node.ifs[0]), *node.ifs[1:]])


def fixed_condition(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.IfExp):
        yield from (changed(node, test=ast.Constant(value)) for value in (True, False))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield changed(node, ifs=node.ifs[1:])


def logic(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        yield changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand


def lost_operand(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right


def swapped_operands(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mult | ast.BitAnd | ast.BitOr | ast.BitXor):
        yield changed(node, left=node.right, right=node.left)


def swapped_arguments(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call):
        for i in range(len(node.args) - 1):
            yield changed(node, args=[*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]])


def lost_call(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """f(x) becomes x, and x.f(...) becomes x; a keyword argument is lost."""
    if isinstance(node, ast.Call):
        yield from (changed(node, keywords=[k for k in node.keywords if k is not lost]) for lost in node.keywords)
        if len(node.args) == 1 and isinstance(node.func, ast.Name):
            yield node.args[0]
        elif isinstance(node.func, ast.Attribute):
            of = node.func.value
            yield from [of] if not isinstance(of, ast.Name) or of.id in scope.names else []  # `re` in re.search is a module


def twin(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """Another function that is taken for this one."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in TWINS:
            yield changed(node, func=ast.Name(TWINS[node.func.id], ast.Load()))
        elif isinstance(node.func, ast.Attribute) and node.func.attr in TWINS:
            yield changed(node, func=changed(node.func, attr=TWINS[node.func.attr]))


def lost_statement(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Break | ast.Continue | ast.Delete):
        yield ast.Pass()


def other_variable(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in scope.names:
        yield from (ast.Name(name, ast.Load()) for name in scope.names if name != node.id)


def loop(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """Once instead of often, the other way round, without the first; `break` and `continue` for each other."""
    if isinstance(node, ast.For | ast.While):
        yield changed(node, body=[*node.body, ast.Break()])
    if isinstance(node, ast.For | ast.comprehension):
        all_of = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
        slices = (
            ast.Slice(None, None, ast.Constant(-1)),
            ast.Slice(ast.Constant(1), None, None),
            ast.Slice(None, ast.Constant(-1), None),
        )
        yield from (changed(node, iter=ast.Subscript(all_of, part, ast.Load())) for part in slices)
    elif isinstance(node, ast.Break | ast.Continue):
        yield ast.Continue() if isinstance(node, ast.Break) else ast.Break()


def assignment(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """`x += y` becomes `x = y`."""
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)


def result(node: ast.AST, _: Scope) -> Iterator[ast.AST]:
    """Another value is returned. The last of the kinds: every test should notice."""
    if isinstance(node, ast.Return | ast.Lambda):
        field = "value" if isinstance(node, ast.Return) else "body"
        value: ast.expr | None = getattr(node, field)
        if value is not None:
            yield changed(node, **{field: ast.UnaryOp(ast.Not(), value)})
            yield changed(node, **{field: ast.List([value], ast.Load())})
            yield from (changed(node, **{field: ast.Constant(other)}) for other in (None, 0, ""))


KINDS: tuple[Edit, ...] = (
    boundary, operator, off_by_one, number, text, negated_condition, logic, lost_statement, lost_operand, swapped_operands,
    swapped_arguments, twin, opposite, loop, other_variable, assignment, fixed_condition, lost_call, result,
)  # fmt: skip


def changed(node: ast.AST, **fields: object) -> ast.AST:
    """A copy with other fields; parts are shared, which is fine for something that is only written out."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def mutants(code: str, random: Random) -> Iterator[Mutant]:
    """All of them, each once, the kinds in turn and in a random order within a kind; those of the kind `result` last."""
    tree = ast.parse(code)
    seen = {ast.unparse(tree)}
    scope = Scope(tuple(dict.fromkeys(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
                        | dict.fromkeys(a.arg for n in ast.walk(tree) if isinstance(n, ast.arguments) for a in n.args)))  # fmt: skip
    waiting: dict[str, list[Callable[[], Mutant]]] = {}
    for put, node in places(tree):
        for edit in KINDS:
            for new in edit(node, scope):
                waiting.setdefault(edit.__name__, []).append(
                    lambda put=put, new=new, node=node, edit=edit: made(tree, put, new, node, edit)
                )
    for queue in waiting.values():
        random.shuffle(queue)
    last = waiting.pop("result", [])
    while waiting or last:
        for kind in list(waiting) or ["result"]:
            queue = waiting.get(kind, last)
            mutant = queue.pop()()
            if not queue:
                waiting.pop(kind, None)
            if mutant.code not in seen and compiles(mutant.code):
                seen.add(mutant.code)
                yield mutant


Put = Callable[[ast.AST], None]


def places(tree: ast.AST) -> Iterator[tuple[Put, ast.AST]]:
    """Each node that may be changed, and what puts another (or itself again) in its place."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "ctx"):
            continue
        for i, part in enumerate(value if isinstance(value, list) else [value]):
            if (
                not isinstance(part, ast.AST)
                or isinstance(part, ast.Import | ast.ImportFrom)
                or (name == "body" and is_text(part))
            ):
                continue

            def put(new: ast.AST, value: object = value, name: str = name, i: int = i) -> None:
                if isinstance(value, list):
                    value[i] = new
                else:
                    setattr(tree, name, new)

            yield put, part
            yield from places(part)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def made(tree: ast.Module, put: Put, new: ast.AST, old: ast.AST, edit: Edit) -> Mutant:
    put(new)
    try:
        code = ast.unparse(ast.fix_missing_locations(tree))
    except (ValueError, AttributeError):  # such as a loop without a body
        code = "("
    finally:
        put(old)
    return Mutant(edit.__name__, getattr(old, "lineno", 0), code)


def compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True
