"""Own functions: read at every place that calls them, with what they are given there, while the bound on that work lasts.

What nothing calls is read at the end with what its defaults say. Beyond the bound, and in recursion, what a function is given is only kept for that.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from sigma_core.sandbox.observations import Observations, join
from sigma_core.sandbox.python.call_reading import CallReading
from sigma_core.sandbox.python.expressions import MAX_DEPTH
from sigma_core.sandbox.python.polling import calls_itself_later
from sigma_core.sandbox.python.requests_carried import argument_of, listens, route_of
from sigma_core.sandbox.python.state import INSTANCE, Activation, Function
from sigma_core.sandbox.python.values import UNKNOWN, Value, either

CALL_WORK = (1, 3)
"""How many times the size of the module may be spent, in each walk, on reading functions where they are called."""
_SPARE_WORK = 2_000
_MAX_CALLS = 6
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class OwnFunctions(CallReading, ABC):
    """Keeps and reads the functions of a module of ``size`` nodes."""

    def __init__(self, source: str, observations: Observations, end: int, size: int) -> None:
        super().__init__(source, observations, end)
        self._size = size
        self._defaults: dict[tuple[str, str], Value] = {}
        self._given: dict[tuple[str, str], Value] = {}
        self.begin_calls(0)

    @abstractmethod
    def block(self, body: Sequence[ast.stmt]) -> None:
        """Read statements in order."""

    def begin_calls(self, walk: int) -> None:
        """Set the bound for the calls of a walk."""
        self._bound = CALL_WORK[walk] * self._size + _SPARE_WORK
        self._entered: set[str] = set()
        self._called_work = 0
        self._call_began = 0
        self._inside_calls = 0

    def read_uncalled(self) -> None:
        """Read the functions that nothing called; more may be met inside them."""
        while uncalled := [function for function in self.functions.values() if function.name not in self._entered]:
            for function in uncalled:
                self._run(function, {}, alone=True)

    def stopped(self) -> bool:
        """Whether what is being read is a called function, and the bound is used up."""
        return self._inside_calls > 0 and not self._affordable()

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind the name of a function, and call its decorators."""
        decorators = [self.read(decorator) for decorator in node.decorator_list]
        value = self._register(node, f"{self.scope}/{node.name}")
        if self.scope in self.classes:
            self.methods[node.name] = value.name
            if any(decorator.name in {"property", "functools.cached_property"} for decorator in decorators):
                self.properties.add(value.name)
        self.bind_name(node.name, value)
        for decorator in decorators:
            if decorator.name in self.functions:
                self.enter(decorator.name, [value], {}, "")

    def define_lambda(self, node: ast.Lambda) -> Value:
        """The own function that a lambda makes."""
        return self._register(node, f"{self.scope}/lambda {node.lineno}:{node.col_offset}")

    def _register(self, node: _Definition, name: str) -> Value:
        listed = [*node.args.posonlyargs, *node.args.args]
        parameters = [argument.arg for argument in [*listed, *node.args.kwonlyargs]]
        defaults = [*zip(reversed(listed), reversed(node.args.defaults), strict=False), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]  # fmt: skip
        for argument, default in defaults:
            if default is not None:
                self._defaults[name, argument.arg] = self.read(default)
        static = isinstance(node, ast.FunctionDef) and any(isinstance(decorator, ast.Name) and decorator.id == "staticmethod" for decorator in node.decorator_list)  # fmt: skip
        owner = self.scope if self.scope in self.classes and not static and not isinstance(node, ast.Lambda) else ""
        self.functions[name] = Function(name, node, tuple(parameters), owner, calls_itself_later(node))
        return Value(name=name)

    def _affordable(self) -> bool:
        """Whether the bound on reading functions where they are called still lasts."""
        spent = self._called_work + (self.work - self._call_began if self._inside_calls else 0)
        return spent <= self._bound

    def enter(self, function: str, arguments: Sequence[Value], keywords: Mapping[str, Value], receiver: str) -> Value:
        """Read an own function with what it is given, where the bounds allow; its result."""
        known = self.functions[function]
        names = list(known.parameters)
        if known.owner:
            arguments = [Value(name=(receiver or known.owner) + INSTANCE), *arguments]
        given = dict(zip(names, arguments, strict=False))
        given |= {key: value for key, value in keywords.items() if key in names}
        spare = known.node.args.vararg
        if spare is not None:
            rest = tuple(arguments[len(known.node.args.args) :])
            given[spare.arg] = Value(labels=join(*(value.labels for value in rest)), name="list", items=rest)
        if known.node.args.kwarg is not None:
            fields = {key: value for key, value in keywords.items() if key not in names}
            given[known.node.args.kwarg.arg] = Value(labels=join(*(value.labels for value in fields.values())), name="dict", fields=fields)  # fmt: skip
        active = any(activation.name == function for activation in self.stack)
        if active or len(self.stack) >= _MAX_CALLS or self.depth > MAX_DEPTH // 2 or not self._affordable():
            for name, value in given.items():
                self._given[function, name] = either([self._given.get((function, name), UNKNOWN), value])
            labels = join(*(value.labels for value in given.values()))
            return Value(labels=labels)
        return self._run(known, given, alone=False)

    def _run(self, function: Function, given: Mapping[str, Value], *, alone: bool) -> Value:
        outer = self.scope, self.conditional, self.loops
        self.scope, self.conditional, self.loops = function.name, 0, 0
        local: dict[str, Value] = {}
        route = (route_of(function.node) or listens(function.node, self.imported)) if alone else ""
        polls = function.polls
        self.polls += polls
        for name in function.parameters:
            value = given.get(name)
            if value is None:
                value = either([self._defaults.get((function.name, name), UNKNOWN), self._given.get((function.name, name), UNKNOWN)]).labelled(argument_of(route, name))  # fmt: skip
            local[name] = value
        local |= {name: value for name, value in given.items() if name not in local}
        if function.owner and function.parameters and function.parameters[0] not in given:
            local[function.parameters[0]] = Value(name=function.owner + INSTANCE)
        held = self.scopes.get(function.name)
        self.scopes[function.name] = local
        self.stack.append(Activation(function.name))
        if not alone:
            if not self._inside_calls:
                self._call_began = self.work
            self._inside_calls += 1
        if isinstance(function.node, ast.Lambda):
            self.stack[-1].returned.append(self.read(function.node.body))
        else:
            self.block(function.node.body)
        complete = self._affordable()
        if not alone:
            self._inside_calls -= 1
            if not self._inside_calls:
                self._called_work += self.work - self._call_began
        if complete or alone:
            self._entered.add(function.name)
        returned = self.stack.pop().returned
        self.scope, self.conditional, self.loops = outer
        self.polls -= polls
        if held is not None and any(activation.name == function.name for activation in self.stack):
            self.scopes[function.name] = held
        return either(returned)
