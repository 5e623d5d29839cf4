"""Small faults that `mutants.py` puts into a module: one changed operator, number or call.

Faults that no test could notice are left out: in annotations, docstrings, decorators, error
messages, warnings and what `repr` returns.
"""

import ast
from copy import copy
from dataclasses import dataclass

# What each operator becomes.
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
    ast.And: ast.Or, ast.Or: ast.And,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
# Off by one; only where whole numbers are compared, among which equal ones are found.
_BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}

_FUNCTIONS = {
    "min": "max", "argmin": "argmax", "minimum": "maximum", "any": "all", "mean": "sum",
    "floor": "ceil", "zeros": "ones", "zeros_like": "ones_like",
    "repeat": "tile", "exp": "expm1", "log": "log1p", "square": "abs",
}  # fmt: skip
_FUNCTIONS |= {new: old for old, new in _FUNCTIONS.items() if old not in ("exp", "log")}
# Python's own, which are functions of no module.
_BUILTINS = {"min", "max", "any", "all"}
_COMMUTATIVE = {
    "minimum", "maximum", "min", "max", "gcd", "logaddexp", "hypot", "zip", "isinstance", "add",
}  # fmt: skip
# Arguments whose change is an error at once or none at all.
_IDLE_KEYWORDS = {
    "dtype", "name", "copy", "strict", "stacklevel", "kind", "order", "out", "seed",
    "eager_only",
}  # fmt: skip
# Calls whose arguments say nothing: messages, and seeds that are set before they are used.
_IDLE_CALLS = {"warn", "field", "cast", "TypeVar", "SeedGenerator"}
_IDLE_FUNCTIONS = {"__repr__", "__str__"}
# What bounds memory, time or rounding, and is no part of any result.
_IDLE_NAMES = {
    "__all__", "_CHUNK_ENTRIES", "_CHUNK_ROWS", "_FEW_ENTRIES", "_ENTRIES_BESIDE",
    "_POOL_SIZE", "_POOL_BATCHES", "_MOST_SPECS", "_N_WORKERS", "_STEPS_TO_SHARE",
    "_MOST_EVALUATED", "_MOST_SEARCHED", "TINY", "SAME", "_EPSILON", "n_workers", "is_long",
    "n_candidates", "row_entries", "_KERNEL_ENTRIES",
}  # fmt: skip
# An assignment from these sets how many rows are handled at a time, or chooses one of two ways
# to the same number: `test_chunks_change_nothing` shows that results do not depend on it.
_SIZES = {"_CHUNK_ENTRIES", "_FEW_ENTRIES", "_ENTRIES_BESIDE"}
# What runs on another backend than the tests do.
_OTHER_BACKEND = "torch"


@dataclass(frozen=True)
class Mutant:
    """A fault: the text between two places of a module, and what stands there instead.

    Attributes
    ----------
    path : str
        The module, from the root of the repository.

    scope : str
        Function or method that holds the fault; "" at the top of a module, "Class." in the
        body of a class.

    names : tuple of str
        What the faulty statement at the top of a module defines.

    kind : str
        Name of the operator.

    start, end : tuple of (int, int)
        Line, from one, and offset in bytes.

    text : str
        The replacement.
    """

    path: str
    scope: str
    names: tuple[str, ...]
    kind: str
    start: tuple[int, int]
    end: tuple[int, int]
    text: str

    def applied(self, source):
        """The module with the fault in it."""
        lines = source.encode().splitlines(keepends=True)
        (first, left), (last, right) = self.start, self.end
        changed = lines[first - 1][:left] + self.text.encode() + lines[last - 1][right:]
        return b"".join([*lines[: first - 1], changed, *lines[last:]]).decode()


def mutants_of(path, source):
    """All faults of a module that still compile."""
    tree = ast.parse(source)
    found = []
    for node in tree.body:
        _collect(node, path, "", _defined(node), found)
    for mutant in found:
        compile(mutant.applied(source), path, "exec")
    return found


def _defined(node):
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    parts = [part for t in targets if t for part in ast.walk(t)]
    return tuple(
        part.id if isinstance(part, ast.Name) else part.attr
        for part in parts
        if isinstance(part, ast.Name | ast.Attribute)
    )


def _collect(node, path, scope, names, found):
    """Append the faults of a node and of all below it."""
    if _is_idle(node, names):
        return
    for kind, old, new in _alternatives(node):
        place = (old.lineno, old.col_offset), (old.end_lineno, old.end_col_offset)
        text = ast.unparse(ast.fix_missing_locations(new))
        text = f"({text})" if isinstance(old, ast.expr) else text
        found.append(Mutant(path, scope, names, kind, *place, text))
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and (not scope or scope[-1] == "."):
        scope += node.name + ("." if isinstance(node, ast.ClassDef) else "")
    for child in _children(node):
        _collect(child, path, scope, names, found)


def _is_idle(node, names):
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and _OTHER_BACKEND in ast.unparse(node.test):
        return True
    if isinstance(node, ast.Assign) and _SIZES & _used(node.value):
        return True
    names = {*names, *_defined(node), getattr(node, "name", "")}
    if isinstance(node, ast.Call) and _name(node) in _IDLE_CALLS:
        return True
    if isinstance(node, ast.keyword) and node.arg in _IDLE_KEYWORDS:
        return True
    return bool(names & (_IDLE_FUNCTIONS | _IDLE_NAMES))


def _used(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _children(node):
    """What stands below a node, without annotations, decorators and what is raised."""
    if isinstance(node, ast.Raise):
        return []
    left_out = {"annotation", "returns", "decorator_list", "bases", "op", "ops", "ctx"}
    fields = [getattr(node, name) for name in node._fields if name not in left_out]
    flat = [part for field in fields for part in (field if type(field) is list else [field])]
    return [part for part in flat if isinstance(part, ast.AST)]


def _alternatives(node):
    """Names of faults, the node that changes and what it becomes."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
        return [("condition", node.test, ast.UnaryOp(ast.Not(), node.test))]
    mutate = _MUTATIONS.get(type(node), lambda node: ())
    return [(kind, node, new) for kind, new in mutate(node)]


def _with(node, **fields):
    new = copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _compare(node):
    if len(node.ops) > 1:
        return
    (op,) = map(type, node.ops)
    yield "comparison", _with(node, ops=[_OPERATORS[op]()])
    operands = node.left, *node.comparators
    if op in _BOUNDARIES and any(map(_is_whole, operands)):
        yield "boundary", _with(node, ops=[_BOUNDARIES[op]()])


def _is_whole(node):
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    text = ast.unparse(node)
    return text.startswith(("len(", "n_")) or ".shape" in text or ".sum(" in text


def _operator(node):
    parts = getattr(node, "left", None), getattr(node, "right", None)
    if any(isinstance(part, ast.Constant) and type(part.value) is str for part in parts):
        return
    if type(node.op) in _OPERATORS:
        yield "operator", _with(node, op=_OPERATORS[type(node.op)]())


def _unary(node):
    if not isinstance(node.operand, ast.Constant):
        yield "sign", node.operand


def _constant(node):
    if type(node.value) is bool:
        yield "flag", ast.Constant(not node.value)
    elif type(node.value) is int:
        yield "number", ast.Constant(node.value + 1)
    elif type(node.value) is float:
        yield "number", ast.Constant(2 * node.value or 1.0)


def _choice(node):
    yield "choice", _with(node, body=node.orelse, orelse=node.body)


def _name(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _call(node):
    name = _name(node)
    if name in _FUNCTIONS and (isinstance(node.func, ast.Attribute) or name in _BUILTINS):
        field = "attr" if isinstance(node.func, ast.Attribute) else "id"
        yield "function", _with(node, func=_with(node.func, **{field: _FUNCTIONS[name]}))
    for keyword in node.keywords:
        if keyword.arg and keyword.arg not in _IDLE_KEYWORDS | {"axis", "keepdims"}:
            rest = [other for other in node.keywords if other is not keyword]
            yield "argument left out", _with(node, keywords=rest)
    two = len(node.args) == 2 and not any(isinstance(a, ast.Starred) for a in node.args)
    if two and name not in _COMMUTATIVE and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        yield "arguments exchanged", _with(node, args=node.args[::-1])


def _expression(node):
    if isinstance(node.value, ast.Call):
        yield "statement left out", ast.Pass()


def _assignment(node):
    if all(isinstance(target, ast.Subscript) for target in node.targets):
        yield "statement left out", ast.Pass()


def _left_out(node):
    yield "statement left out", ast.Pass()


def _return(node):
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield "nothing returned", ast.Return(ast.Constant(None))


_MUTATIONS = {
    ast.Compare: _compare,
    ast.BinOp: _operator,
    ast.BoolOp: _operator,
    ast.AugAssign: _operator,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.IfExp: _choice,
    ast.Call: _call,
    ast.Expr: _expression,
    ast.Assign: _assignment,
    ast.Raise: _left_out,
    ast.Continue: _left_out,
    ast.Break: _left_out,
    ast.Return: _return,
}
