"""Functions that do with their parameters, or with the environment, what their author must not: run them as commands, put them into queries and paths, load objects from them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import re2

from sigma_core.sandbox.python.syntax_trees import Function, dotted_name, own_nodes
from sigma_core.sandbox.vocabulary import name_set, secret_variable

MOST = 4_000
"""Nodes of one function that are looked at."""
_RUNS_TEXT = name_set(
    "os.system os.popen subprocess.getoutput subprocess.getstatusoutput asyncio.create_subprocess_shell"
)
_RUNS_WITH_SHELL = name_set(
    "subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call"
)
_QUERIES = name_set("execute executemany executescript executeQuery raw_query")
_LOADERS = name_set("pickle.load pickle.loads cPickle.load cPickle.loads dill.load dill.loads _pickle.load shelve.open")
_FETCHES = name_set("requests.get requests.post requests.request httpx.get httpx.post urllib.request.urlopen urlopen")
_METADATA = re2.compile(r"169\.254\.169\.254/|metadata\.google\.internal/")
_QUERY = re2.compile(r"(?i)^\s*(?:select\b.{1,400}\bfrom\b|insert\s+into\b|update\b.{1,200}\bset\b|delete\s+from\b)")
_VALUE_PLACE = re2.compile(r"(?i)(?:(?:=|<>|[<>]=?|\bin\s{0,2}\(|\blike|\bvalues\s{0,2}\()\s{0,2}['\"%]{0,3}|['\"]%?)$")
_CHECKS_PATHS = name_set(
    "resolve realpath abspath commonpath commonprefix is_relative_to relative_to basename secure_filename normpath startswith"
)
_KEY = re2.compile(
    r"^(?:[sr]k_live_|sk-ant-|sk-proj-|sk-or-|tvly-|gh[pousr]_|github_pat_|xox[abp]-|AIza|AKIA|hf_|glpat-|npm_|gsk_|SG\.)[A-Za-z0-9_.-]{12,200}$"
)
_NO_KEY = re2.compile(r"(?i)x{4}|your|example|dummy|fake|placeholder|changeme|redacted|\.{3}|_test_|test-|-test")
_DIGIT = re2.compile(r"[0-9]")
_DEFAULTS = name_set("os.getenv os.environ.get os.environ.setdefault")
_HARMLESS = name_set(
    "len range enumerate zip int float str bool list dict set tuple sum min max abs sorted reversed map filter print isinstance round repr format"
)


def weak_code(nodes: Sequence[ast.AST], source: str) -> Iterator[tuple[str, str, ast.AST]]:
    """``(rule, subject, node)`` of each weakness among ``nodes``, all nodes of a module. Time is linear in them."""
    functions = [node for node in nodes if isinstance(node, Function)]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    called |= {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    metadata = _METADATA.search(source) is not None
    for function in functions:
        inner = list(islice(own_nodes(function), MOST))
        given = {
            argument.arg for argument in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        }
        given -= {"self", "cls"} | {
            target.id
            for node in inner
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if function.name not in called:
            yield from _parameters_used(function, inner, given, metadata)
        yield from _queries(function, inner, given)
        yield from _paths(function, inner, given)
    yield from _endless(nodes, functions)
    yield from _environment(nodes)
    yield from _keys_put_in_place(nodes)


def _shell_text(call: ast.Call) -> ast.expr | None:
    """What a call runs as a shell's text, or None."""
    name = dotted_name(call.func)
    whole = name in _RUNS_WITH_SHELL and any(
        keyword.arg == "shell" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in call.keywords
    )
    return call.args[0] if call.args and (whole or name in _RUNS_TEXT) else None


def _parameters_used(
    function: Function, inner: Sequence[ast.AST], given: set[str], metadata: bool
) -> Iterator[tuple[str, str, ast.AST]]:
    """What a function that only others call does with what it is given."""
    opened = {
        item.optional_vars.id: item.context_expr.args[0].id
        for node in inner
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
        and isinstance(item.context_expr, ast.Call)
        and dotted_name(item.context_expr.func) == "open"
        and item.context_expr.args
        and isinstance(item.context_expr.args[0], ast.Name)
    }
    for call in inner:
        if not isinstance(call, ast.Call):
            continue
        text = _shell_text(call)
        if isinstance(text, ast.Name) and text.id in given:
            yield "SIGMA-WEAK-001", f"{function.name}({text.id})", call
        first = call.args[0] if call.args else None
        name = first.id if isinstance(first, ast.Name) else ""
        if dotted_name(call.func) in _LOADERS and (name in given or opened.get(name) in given):
            yield "SIGMA-WEAK-005", f"{function.name}({opened.get(name, name)})", call
        if metadata and dotted_name(call.func) in _FETCHES and name in given:
            yield "SIGMA-WEAK-006", f"{function.name}({name})", call


def _queries(function: Function, inner: Sequence[ast.AST], given: set[str]) -> Iterator[tuple[str, str, ast.AST]]:
    """Queries into whose value places a parameter is put as text."""
    if not any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _QUERIES
        for node in inner
    ):
        return
    for node in inner:
        if isinstance(node, ast.JoinedStr):
            before = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                elif isinstance(part, ast.FormattedValue):
                    name = part.value.id if isinstance(part.value, ast.Name) else ""
                    if name in given and _QUERY.search(before) and _VALUE_PLACE.search(before):
                        yield "SIGMA-WEAK-002", f"{function.name}: {name}", node
                        break
                    before += "x"


def _paths(function: Function, inner: Sequence[ast.AST], given: set[str]) -> Iterator[tuple[str, str, ast.AST]]:
    """Files below a fixed folder whose name is a parameter that nothing checks."""
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in inner
        if isinstance(node, ast.Attribute | ast.Name)
    }
    if "open" not in names or names & _CHECKS_PATHS or any(isinstance(node, ast.If | ast.Raise) for node in inner):
        return
    folders = {
        target.id
        for node in inner
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and str(node.value.value).startswith("/")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in inner:
        if isinstance(node, ast.Call) and dotted_name(node.func) == "os.path.join" and len(node.args) >= 2:
            folder, name = node.args[0], node.args[-1]
            fixed = (isinstance(folder, ast.Name) and folder.id in folders) or (
                isinstance(folder, ast.Constant) and str(folder.value).startswith("/")
            )
            if fixed and isinstance(name, ast.Name) and name.id in given:
                yield "SIGMA-WEAK-003", f"{function.name}({name.id})", node


def _endless(nodes: Sequence[ast.AST], functions: Sequence[Function]) -> Iterator[tuple[str, str, ast.AST]]:
    """Loops without an end that wait for nothing: nothing in them leaves, and all that they call are functions of the module that only compute."""
    computing = {function.name for function in functions if _computes(function.body, set())}
    for node in nodes:
        if (
            isinstance(node, ast.While)
            and isinstance(node.test, ast.Constant)
            and node.test.value
            and _computes(node.body, computing)
            and not any(
                isinstance(part, ast.Break | ast.Return) for statement in node.body for part in ast.walk(statement)
            )
        ):
            yield "SIGMA-WEAK-004", "while True", node


def _computes(body: Iterable[ast.stmt], others: set[str]) -> bool:
    for statement in body:
        for part in islice(ast.walk(statement), MOST):
            if isinstance(
                part,
                ast.Raise
                | ast.Yield
                | ast.YieldFrom
                | ast.Await
                | ast.With
                | ast.AsyncWith
                | ast.Try
                | ast.Assert
                | ast.Import
                | ast.ImportFrom,
            ):
                return False
            if isinstance(part, ast.Call) and not (
                isinstance(part.func, ast.Name) and (part.func.id in _HARMLESS or part.func.id in others)
            ):
                return False
    return True


def _environment(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str, ast.AST]]:
    """Commands that are the text of a variable of the environment, whole or cut at a separator."""
    held: set[str] = set()
    for _ in range(2):
        for node in nodes:
            pairs: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.For | ast.comprehension):
                pairs = [(node.target, node.iter)]
            held |= {
                target.id for target, value in pairs if isinstance(target, ast.Name) and _of_environment(value, held)
            }
    for node in nodes:
        if isinstance(node, ast.Call):
            text = _shell_text(node)
            if text is not None and _of_environment(text, held):
                yield "SIGMA-WEAK-007", "environment", node


def _of_environment(value: ast.expr, held: set[str]) -> bool:
    """Whether a value is that of a variable of the environment, or a part of it."""
    while True:
        if isinstance(value, ast.Name):
            return value.id in held
        if isinstance(value, ast.Subscript):
            if dotted_name(value.value) == "os.environ":
                return True
            value = value.value
        elif isinstance(value, ast.Call):
            if dotted_name(value.func) in {"os.getenv", "os.environ.get"}:
                return len(value.args) < 2 or (isinstance(value.args[1], ast.Constant) and not value.args[1].value)
            if not isinstance(value.func, ast.Attribute) or value.func.attr not in {"split", "strip", "splitlines"}:
                return False
            value = value.func.value
        else:
            return False


def _keys_put_in_place(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str, ast.AST]]:
    """Keys of the author's own in the place of the person's."""
    for node in nodes:
        name: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            if dotted_name(node.targets[0].value) == "os.environ":
                name, value = node.targets[0].slice, node.value
        elif isinstance(node, ast.Call) and len(node.args) == 2 and dotted_name(node.func) in _DEFAULTS:
            name, value = node.args
        if (
            isinstance(name, ast.Constant)
            and isinstance(value, ast.Constant)
            and secret_variable(str(name.value))
            and _KEY.search(str(value.value))
            and _DIGIT.search(str(value.value))
            and not _NO_KEY.search(str(value.value))
        ):
            yield "SIGMA-WEAK-008", str(name.value), node
