"""Checks that let somebody or something through: a fixed value that is as good as the real credential, and verifiers that never refuse."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import re2

from sigma_core.sandbox.python.syntax_trees import Function, own_nodes

_CHECK = re2.compile(r"(?i)^(?:check|verif|compare|authenticate|authori[sz]e|decode$|exists$|validate|loads$)")
_VERIFIER = re2.compile(
    r"(?i)(?:verif(?:y|ies|ied)|signature|checksum|authentic|integrity|is_(?:signed|trusted|authori[sz]ed)|(?:check|valid(?:ate)?)_?(?:hash|sum|sig|token|cert|licen[cs]e|password|auth|digest))"
)
_CREDENTIAL = re2.compile(
    r"(?i)(?:^|_|-)(?:pass(?:word|wd|phrase|code)?|pin|otp|token|key|secret|supplied|credentials?|headers?|cookies?|form|args|post|get|query(?:_params)?|params|x)(?:$|_|-)"
)
_SECRET_LIKE = re2.compile(r"^[^\s/<>{}]{0,40}(?:[^\s/<>{}A-Za-z][^\s/<>{}]{2,40}|[^\s/<>{}]{3,40}[^\s/<>{}A-Za-z])$")
_RANK = re2.compile(r"(?i)^(?:admin(?:istrator)?|root|owner|superuser|is_?(?:admin|superuser|staff|authenticated)|\*)$")
_ADMITS = re2.compile(
    r"(?i)^(?:login(?:_user)?|sign_in|force_login|grant\w{0,12}|call_next|next|handler|get_response)$"
)
_MOST = 200
"""Nodes that are looked at below one statement or comparison: what grants or checks stands near the top."""


def bypassed_checks(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str, ast.expr | ast.stmt]]:
    """``(rule, subject, node)`` of every check among ``nodes``, all nodes of a module, that does not check. Time is linear."""
    fixed = {
        target.id: node.value.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    doors = any(isinstance(node, ast.If | ast.BoolOp) and any(_compares(part, fixed) for part in _parts(node)) for node in nodes)  # fmt: skip
    for function in nodes:
        if isinstance(function, Function):
            verifies = bool(_VERIFIER.search(function.name))
            inner = list(own_nodes(function)) if doors or verifies else []
            if verifies and _never_refuses(inner):
                yield "SIGMA-CODE-006", f"{function.name} never refuses", function
            if doors:
                yield from _doors(inner, fixed)


def _parts(node: ast.If | ast.BoolOp) -> Sequence[ast.expr]:
    """What is tested, or what is joined by ``and`` or ``or``."""
    tested = node.test if isinstance(node, ast.If) else node
    return tested.values if isinstance(tested, ast.BoolOp) else [tested]


def _never_refuses(inner: Sequence[ast.AST]) -> bool:
    for node in inner:
        if isinstance(node, ast.Try) and any(_is_check(call) for call in _calls(node.body)):
            for handler in node.handlers:
                if any(isinstance(last, ast.Return) and _is_true(last.value) for last in handler.body):
                    return True
    returned = [node.value for node in inner if isinstance(node, ast.Return)]
    refuses = any(isinstance(node, ast.Raise | ast.Assert | ast.Yield) or _exits(node) for node in inner)
    looked = any(isinstance(node, ast.If) and isinstance(node.test, ast.Compare) for node in inner) or any(
        isinstance(node, ast.Try) and node.handlers and any(_is_check(call) for call in _calls(node.body))
        for node in inner
    )
    return bool(returned) and looked and not refuses and all(_is_true(value) for value in returned)


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def _exits(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in {
        "exit",
        "_exit",
        "abort",
        "fail",
        "die",
        "error",
        "SystemExit",
    }


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""  # fmt: skip


def _calls(body: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (
        node for part in islice(body, _MOST) for node in islice(ast.walk(part), _MOST) if isinstance(node, ast.Call)
    )


def _is_check(call: ast.Call) -> bool:
    return bool(_CHECK.search(_called(call)))


def _doors(inner: Sequence[ast.AST], fixed: Mapping[str, str]) -> Iterator[tuple[str, str, ast.expr]]:
    checked = any(isinstance(node, ast.Call) and _is_check(node) for node in inner)
    for node in inner:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            checking = [any(_is_check(call) for call in _calls([part])) for part in node.values]
            passes = sum(checking)
            for part, checks in zip(node.values, checking, strict=True):
                if passes > checks and _compares(part, fixed):
                    yield "SIGMA-CODE-001", "a fixed value beside the check", part
        elif isinstance(node, ast.If):
            door = next((test for test in _parts(node) if _compares(test, fixed)), None)
            if door is not None and (_raises_rank(node.body) or (checked and _lets_in(node.body))):
                yield "SIGMA-CODE-001", "a fixed value before the check", door


def _compares(node: ast.expr, fixed: Mapping[str, str]) -> bool:
    """Whether something that a person or request brings is compared with a fixed value of the code."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
        left, right = node.left, node.comparators[0]
    elif isinstance(node, ast.Call) and len(node.args) == 2 and _called(node) == "compare_digest":
        left, right = node.args
    elif isinstance(node, ast.Call) and len(node.args) == 1 and _called(node) in {"endswith", "startswith"}:
        left, right = node.func, node.args[0]
    else:
        return False
    given, value = (right, left) if _text(left, fixed) else (left, right)
    text = _text(value, fixed)
    return bool(text) and bool(_SECRET_LIKE.search(text)) and any(_CREDENTIAL.search(name) for name in _names(given))


def _text(node: ast.expr, fixed: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name):
        return fixed.get(node.id, "")
    value = node.value if isinstance(node, ast.Constant) else ""
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _names(node: ast.AST) -> Iterator[str]:
    for part in islice(ast.walk(node), _MOST):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(part, ast.keyword):
            yield part.arg or ""
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value[:60]


def _raises_rank(body: Sequence[ast.stmt]) -> bool:
    """Whether the statements make somebody an administrator or log somebody in."""
    return any(_RANK.search(name) for statement in islice(body, _MOST) for name in _names(statement)) or any(
        _ADMITS.search(_called(call)) for call in _calls(body)
    )


def _lets_in(body: Sequence[ast.stmt]) -> bool:
    """Whether the statements return as a passed check does, or open a session."""
    for statement in body:
        if isinstance(statement, ast.Return) and (_is_true(statement.value) or isinstance(statement.value, ast.Dict)):
            return True
        if isinstance(statement, ast.Assign) and any("session" in name for target in statement.targets for name in _names(target)):  # fmt: skip
            return True
    return False
