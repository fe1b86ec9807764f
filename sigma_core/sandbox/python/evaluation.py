"""Small pure computations over constants, done for real within a counted bound: the loops and comprehensions that undo a disguise.

Only numbers, texts, bytes, lists and dictionaries take part, and only operators and the calls listed here; anything else ends the attempt with `NotPure`. Nothing of the
submitted code is executed: its syntax tree is read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from sigma_core.sandbox.python.constants import fold_operation
from sigma_core.sandbox.python.pure_functions import PureFunctions
from sigma_core.sandbox.python.pure_values import NotPure, Steps
from sigma_core.sandbox.python.values import MAX_CONSTANT, MAX_ITEMS

_MAX_DEPTH = 30
_MAX_INTEGER = 2**63


class Evaluator(PureFunctions):
    """Evaluates one expression or loop. ``lookup`` gives the value of a free name or raises NotPure, ``resolve`` the dotted name that an expression stands for,
    ``function`` the own function of such a name. ``built`` says whether characters or bytes were computed."""

    def __init__(
        self,
        lookup: Callable[[str], Any],
        resolve: Callable[[ast.expr], str],
        function: Callable[[str], ast.FunctionDef | None],
        steps: Steps,
    ) -> None:
        super().__init__(steps)
        self._lookup = lookup
        self._resolve = resolve
        self._function = function
        self.bound: dict[str, Any] = {}
        self._depth = 0

    # -- statements ---------------------------------------------------------------------------------------------------

    def loop(self, node: ast.For | ast.While) -> None:
        """Run a loop; what it assigned is then in `bound`. Raises NotPure, also where its body is never entered: then what it loops over is not known."""
        if not self._rounds(node):
            raise NotPure

    def _rounds(self, node: ast.For | ast.While) -> int:
        """Run a loop; how often its body was entered."""
        rounds = 0
        if isinstance(node, ast.For):
            for item in self.iterate(self.value(node.iter)):
                self._assign(node.target, item)
                rounds += 1
                if not self._body(node.body):
                    return rounds
        else:
            while self.value(node.test):
                rounds += 1
                if not self._body(node.body):
                    return rounds
        self._body(node.orelse)
        return rounds

    def _body(self, body: Sequence[ast.stmt]) -> bool:
        """Run statements; False where a ``break`` ended them, and ``continue`` is their end."""
        try:
            for statement in body:
                self._statement(statement)
        except _Continue:
            return True
        except _Break:
            return False
        return True

    def _statement(self, node: ast.stmt) -> None:
        self.steps.take()
        if isinstance(node, ast.Assign):
            value = self.value(node.value)
            for target in node.targets:
                self._assign(target, value)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name):
                self._assign(node.target, self._operate(node.op, self._name(node.target.id), self.value(node.value)))
            elif isinstance(node.target, ast.Subscript):
                current = self.value(_loaded(node.target))
                self._assign(node.target, self._operate(node.op, current, self.value(node.value)))
            else:
                raise NotPure
        elif isinstance(node, ast.If):
            for statement in node.body if self.value(node.test) else node.orelse:
                self._statement(statement)
        elif isinstance(node, ast.For | ast.While):
            self._nested(node)
        elif isinstance(node, ast.Expr):
            self.value(node.value)
        elif isinstance(node, ast.Return):
            raise _Return(None if node.value is None else self.value(node.value))
        elif isinstance(node, ast.Continue):
            raise _Continue
        elif isinstance(node, ast.Break):
            raise _Break
        elif not isinstance(node, ast.Pass):
            raise NotPure

    def _nested(self, node: ast.For | ast.While) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotPure
        self._rounds(node)
        self._depth -= 1

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.bound[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, list | tuple | str | bytes):
            if len(target.elts) != len(value):
                raise NotPure
            for element, item in zip(target.elts, value, strict=True):
                self._assign(element, item)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            holder, at = self._name(target.value.id), self.value(target.slice)
            if isinstance(holder, list | bytearray) and isinstance(at, int) and -len(holder) <= at < len(holder):
                if isinstance(holder, bytearray) and not (isinstance(value, int) and 0 <= value < 256):
                    raise NotPure
                holder[at] = value
            elif isinstance(holder, dict) and isinstance(at, str | int) and len(holder) < MAX_ITEMS:
                holder[at] = value
            else:
                raise NotPure
        else:
            raise NotPure

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Any:
        """The value of an expression. Raises NotPure."""
        self.steps.take()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotPure
        try:
            return self._value(node)
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str | bytes) or (isinstance(node.value, int) and abs(node.value) < _MAX_INTEGER):
                return node.value
            raise NotPure
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.BinOp):
            return self._operate(node.op, self.value(node.left), self.value(node.right))
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.BoolOp):
            result = None
            for part in node.values:
                result = self.value(part)
                if bool(result) == isinstance(node.op, ast.Or):
                    break
            return result
        if isinstance(node, ast.IfExp):
            return self.value(node.body if self.value(node.test) else node.orelse)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.List | ast.Tuple):
            return [self.value(element) for element in node.elts[:MAX_ITEMS]]
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            results: list[Any] = []
            self._comprehend(node.generators, lambda: results.append(self.value(node.elt)))
            return results
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise NotPure

    def _name(self, name: str) -> Any:
        if name not in self.bound:
            value = self._lookup(name)
            # A copy: the loop may change it, and may yet turn out not to be pure.
            self.bound[name] = value.copy() if isinstance(value, list | dict | bytearray) else value
        return self.bound[name]

    def _operate(self, operator: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(operator, ast.BitXor):
            self.built = True
        if isinstance(left, list) and isinstance(right, list) and isinstance(operator, ast.Add):
            self.steps.take(len(left) + len(right))
            return [*left, *right]
        if isinstance(left, bytearray):
            left = bytes(left)
        if isinstance(right, bytearray):
            right = bytes(right)
        if not isinstance(left, str | bytes | int) or not isinstance(right, str | bytes | int):
            raise NotPure
        result = fold_operation(operator, left, right)
        if result is None:
            raise NotPure
        if isinstance(result, str | bytes):
            self.steps.take(1 + len(result) // 64)
        return result

    def _unary(self, node: ast.UnaryOp) -> Any:
        operand = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not operand
        if not isinstance(operand, int):
            raise NotPure
        return -operand if isinstance(node.op, ast.USub) else ~operand if isinstance(node.op, ast.Invert) else operand

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for operator, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            if isinstance(right, str | bytes | list | dict):
                self.steps.take(1 + len(right) // 16)
            try:
                if not _COMPARISONS[type(operator)](left, right):
                    return False
            except (KeyError, TypeError, RecursionError):
                raise NotPure from None
            left = right
        return True

    def _subscript(self, node: ast.Subscript) -> Any:
        holder = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = [None if bound is None else self.value(bound) for bound in (node.slice.lower, node.slice.upper, node.slice.step)]  # fmt: skip
            if not isinstance(holder, str | bytes | list) or bounds[2] == 0:
                raise NotPure
            self.steps.take(1 + len(holder) // 8)
            try:
                return holder[slice(*bounds)]
            except TypeError:
                raise NotPure from None
        at = self.value(node.slice)
        try:
            return holder[at]
        except (LookupError, TypeError):
            raise NotPure from None

    def _formatted(self, node: ast.JoinedStr) -> str:
        pieces = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                pieces.append(str(part.value))
            elif isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion == -1:
                piece = self.value(part.value)
                if not isinstance(piece, str | int):
                    raise NotPure
                pieces.append(str(piece))
            else:
                raise NotPure
        return "".join(pieces)[:MAX_CONSTANT]

    def _comprehend(self, generators: Sequence[ast.comprehension], yield_one: Callable[[], None]) -> None:
        if not generators:
            yield_one()
            return
        generator = generators[0]
        for item in self.iterate(self.value(generator.iter)):
            self._assign(generator.target, item)
            if all(self.value(test) for test in generator.ifs):
                self._comprehend(generators[1:], yield_one)

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Lambda):
            return self._apply(node.func, [self.value(argument) for argument in node.args])
        name = self._resolve(node.func)
        if name.startswith("/"):
            return self._own(name, node)
        if "." in name:
            return self.library(name, [self.value(argument) for argument in node.args])
        if isinstance(node.func, ast.Attribute):
            holder = self.value(node.func.value)
            return self.method(node.func.attr, holder, [self.value(argument) for argument in node.args])
        if not isinstance(node.func, ast.Name) or node.func.id in self.bound or node.keywords:
            raise NotPure
        if node.func.id == "map" and len(node.args) == 2:
            function, items = node.args[0], self.iterate(self.value(node.args[1]))
            if isinstance(function, ast.Lambda):
                return [self._apply(function, [item]) for item in items]
            if isinstance(function, ast.Name):
                return [self.builtin(function.id, [item]) for item in items]
            raise NotPure
        return self.builtin(node.func.id, [self.value(argument) for argument in node.args])

    def _own(self, name: str, node: ast.Call) -> Any:
        """A call of an own function that is itself a pure computation."""
        function = self._function(name)
        if function is None or node.keywords or function.args.vararg or function.args.kwonlyargs:
            raise NotPure
        names = [argument.arg for argument in function.args.args]
        values = [self.value(argument) for argument in node.args]
        defaults = function.args.defaults
        if len(values) < len(names):
            missing = len(names) - len(values)
            if missing > len(defaults):
                raise NotPure
            values += [self.value(default) for default in defaults[len(defaults) - missing :]]
        if len(values) != len(names) or self._depth > _MAX_DEPTH // 2:
            raise NotPure
        outer, self.bound = self.bound, dict(zip(names, values, strict=True))
        self._depth += 8
        try:
            for statement in function.body:
                self._statement(statement)
        except _Return as returned:
            return returned.value
        finally:
            self.bound = outer
            self._depth -= 8
        raise NotPure

    def _apply(self, function: ast.Lambda, arguments: list[Any]) -> Any:
        names = [argument.arg for argument in function.args.args]
        if len(names) != len(arguments):
            raise NotPure
        before = {name: self.bound[name] for name in names if name in self.bound}
        self.bound.update(zip(names, arguments, strict=True))
        result = self.value(function.body)
        for name in names:
            self.bound.pop(name, None)
        self.bound.update(before)
        return result


class _Continue(NotPure):
    pass


class _Break(NotPure):
    pass


class _Return(NotPure):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _loaded(target: ast.Subscript) -> ast.Subscript:
    return ast.Subscript(value=target.value, slice=target.slice, ctx=ast.Load())


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda left, right: bool(left == right),
    ast.NotEq: lambda left, right: bool(left != right),
    ast.Lt: lambda left, right: bool(left < right),
    ast.LtE: lambda left, right: bool(left <= right),
    ast.Gt: lambda left, right: bool(left > right),
    ast.GtE: lambda left, right: bool(left >= right),
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
