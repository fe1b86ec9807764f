"""Statements in their order. A module is read twice, so that what an attribute or a later definition holds is known to what comes before it; only the second walk reports."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from sigma_core.sandbox.observations import NO_LABELS, Ability, Observations, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import WALLET_MODULES
from sigma_core.sandbox.python.expressions import MAX_DEPTH
from sigma_core.sandbox.python.name_conditions import secrets_tested
from sigma_core.sandbox.python.own_functions import CALL_WORK, OwnFunctions
from sigma_core.sandbox.python.polling import waits
from sigma_core.sandbox.python.pure_values import NotPure, abstract, built_label
from sigma_core.sandbox.python.state import canonical
from sigma_core.sandbox.python.values import UNKNOWN, Value, element_of
from sigma_core.sandbox.python.watching import watcher_sought

_MAX_STARS = 8


class ModuleReader(OwnFunctions):
    """Reads one module."""

    def __init__(self, tree: ast.Module, source: str, observations: Observations, end: int) -> None:
        self._tree = tree
        self.nodes = list(ast.walk(tree))
        super().__init__(source, observations, end, len(self.nodes))

    def read_module(self) -> None:
        """Walk the module and report what the last walk sees."""
        for walk in range(len(CALL_WORK)):
            self.begin_walk()
            self.begin_calls(walk)
            self.emitting = walk == len(CALL_WORK) - 1
            self.block(self._tree.body)
            self.read_uncalled()
            self.end_walk()
        self.report_folded()
        if self.cut:
            self.out.bound("syntax tree depth")

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Read statements in order."""
        if self.depth >= MAX_DEPTH:
            self.cut = True
            return
        self.depth += 1
        for statement in body:
            self.work += 1
            if self.stopped():
                break
            self._statement(statement)
        self.depth -= 1

    def _maybe(self, body: Sequence[ast.stmt]) -> None:
        """Read statements that may not be run."""
        self.conditional += 1
        self.block(body)
        self.conditional -= 1

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr):
            self.read(node.value)
        elif isinstance(node, ast.Assign):
            value = self.read(node.value)
            for target in node.targets:
                self.bind(target, value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.bind(node.target, self.read(node.value))
        elif isinstance(node, ast.AugAssign):
            self._augmented(node)
        elif isinstance(node, ast.Return):
            value = self.read(node.value) if node.value is not None else UNKNOWN
            if self.stack:
                self.stack[-1].returned.append(value)
        elif isinstance(node, ast.If):
            self._if(node)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            self._loop(node)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                value = self.read(item.context_expr)
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, value)
            self.block(node.body)
        elif isinstance(node, ast.Try | ast.TryStar):
            self.block(node.body)
            for handler in node.handlers:
                self._maybe(handler.body)
            self._maybe(node.orelse)
            self.block(node.finalbody)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.define(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.Global):
            self.globals |= {(self.scope, name) for name in node.names}
        elif isinstance(node, ast.Match):
            subject = self.read(node.subject)
            for case in node.cases:
                if isinstance(case.pattern, ast.MatchAs) and case.pattern.name and case.pattern.pattern is None:
                    self.bind_name(case.pattern.name, subject)
                self._maybe(case.body)
        elif isinstance(node, ast.Raise | ast.Assert | ast.Delete):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.read(child)

    def _augmented(self, node: ast.AugAssign) -> None:
        added = self.read(node.value)
        if not isinstance(node.target, ast.Name):
            self.bind(node.target, added)
            return
        held = self.look(node.target.id)
        value = self._operated(ast.BinOp(node.target, node.op, node.value), held, added)
        if isinstance(node.op, ast.Div):
            value = replace(value, name=held.name or value.name)
        value = self.put_together(value, node.target, node.target.id)
        outer, self.conditional = self.conditional, 0
        self.bind_name(node.target.id, value)
        self.conditional = outer

    def _if(self, node: ast.If) -> None:
        branch: ast.If | None = node
        while branch is not None:
            watcher = watcher_sought(branch.test, self.read(branch.test), self.look)
            if watcher:
                self.hit("SIGMA-THREAT-049", watcher, branch.test)
            self._chosen(branch)
            # A long chain of `elif` is walked, not recursed into.
            chained = branch.orelse
            branch = chained[0] if len(chained) == 1 and isinstance(chained[0], ast.If) else None
            if branch is None:
                self._maybe(chained)

    def _chosen(self, node: ast.If) -> None:
        """The body of an ``if``. Where the condition picks names of secret files, its names are those in the body, or after a body that leaves."""
        negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
        test = node.test.operand if isinstance(node.test, ast.UnaryOp) and negated else node.test
        picked = [(name, self.look(name).labelled(labels)) for name, labels in secrets_tested(test, self.look)]
        here = self.scopes.setdefault(self.scope, {})
        if negated:
            self._maybe(node.body)
            if isinstance(node.body[-1], ast.Continue | ast.Return | ast.Raise):
                here |= dict(picked)
            return
        before = {name: here.get(name) for name, _ in picked}
        here |= dict(picked)
        self._maybe(node.body)
        for name, value in picked:
            held = before[name]
            if here.get(name) is value and held is not None:
                here[name] = held

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        if not isinstance(node, ast.AsyncFor) and self._computed_loop(node):
            return
        polls = isinstance(node, ast.While) or waits(node)
        self.loops += 1
        self.polls += polls
        if isinstance(node, ast.While):
            self.read(node.test)
        else:
            self.bind(node.target, element_of(self.read(node.iter)))
        self._maybe(node.body)
        self.loops -= 1
        self.polls -= polls
        self._maybe(node.orelse)

    def _computed_loop(self, node: ast.For | ast.While) -> bool:
        """Whether the loop is a pure computation over constants; then its results are bound."""
        evaluator, used = self.evaluator()
        try:
            evaluator.loop(node)
        except NotPure:
            return False
        labels = join(*(value.labels for value in used))
        for name, result in evaluator.bound.items():
            value = abstract(result)
            value = value.labelled(join(labels, built_label(value) if evaluator.built else NO_LABELS))
            self.bind_name(name, self.put_together(value, node, name))
        return True

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        self.imported |= {module.split(".", maxsplit=1)[0] for module in modules}
        for module in modules:
            if module.split(".", maxsplit=1)[0] in WALLET_MODULES:
                self.can(Ability.WALLET, module, node)
            labels = self.written_modules.get(module.split(".", maxsplit=1)[0], NO_LABELS)
            self.flow(only(labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, f"import {module}", node)
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.split(".")[0]
                self.bind_name(alias.asname or top, Value(name=canonical(alias.name if alias.asname else top)))
            elif alias.name == "*":
                self.star_modules = [*self.star_modules, modules[0]][:_MAX_STARS]
            elif node.level == 0 or modules[0]:
                name = f"{modules[0]}.{alias.name}" if modules[0] else alias.name
                self.bind_name(alias.asname or alias.name, Value(name=canonical(name)))

    def _class(self, node: ast.ClassDef) -> None:
        name = f"{self.scope}/{node.name}"
        bases: list[str] = []
        for base in [*node.bases, *(keyword.value for keyword in node.keywords)]:
            value = self.read(base)
            if value.name.startswith(("setuptools.command", "distutils.command")):
                self.hit("SIGMA-SUPPLY-004", value.name, node)
                self.can(Ability.INSTALL_HOOK, value.name, node)
            if base_class := self.class_of(value):
                bases.append(base_class)
        for decorator in node.decorator_list:
            self.read(decorator)
        self.classes[name] = tuple(bases)
        self.bind_name(node.name, Value(name=name))
        outer, self.scope = self.scope, name
        self.scopes[name] = {}
        self.block(node.body)
        self.scope = outer
        for attribute, value in self.scopes[name].items():
            if value.name not in self.functions:
                self.bind_attribute(name, attribute, value)
