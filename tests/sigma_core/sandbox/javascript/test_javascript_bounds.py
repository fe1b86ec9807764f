"""Scripts that are made to cost much or to confuse: nothing fails, nothing is silent, and every place lies in the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.javascript import read_javascript
from sigma_core.sandbox.observations import Sink, Source

SCRIPT_TEXT = st.lists(
    st.sampled_from(
        ["a", "fetch(", "eval(", "(", ")", "[", "]", "{", "}", "`", "${", "'", '"', "/", "\\", "\n", ";", ",", ".", "?", ":", "=>", "=", "+", "<a>", "</a>", "<", "async ", "function f(", "class A {", "new ", "let x: A<", "as B", "@d ", "...", "é", "\ud800", "process.env", "import ", "while(!![]){", "/*", "//"]
    ),
    max_size=300,
).map("".join)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(SCRIPT_TEXT)
def test_any_text_is_read_and_every_place_lies_in_it(source: str) -> None:
    observed = read_javascript(source)
    for what in [*observed.capabilities, *observed.flows, *observed.hits, *observed.embedded]:
        assert 0 <= what.start <= what.end <= len(source)
    assert read_javascript(source) == observed


@pytest.mark.parametrize("opening", ["f(", "[", "{a:", "(", "!", "a=>", "if(a)", "()=>{", "`${"])
def test_what_is_nested_too_deep_for_one_pass_is_read_all_the_same(opening: str) -> None:
    closing = {"(": ")", "[": "]", "{": "}"}
    inner = "eval(atob('YWxlcnQoMSk='))"
    end = "".join(closing.get(character, "") for character in reversed(opening)) + ("}`" if "`" in opening else "")
    end = "}`" if opening == "`${" else end
    end = "" if opening == "if(a)" else end
    source = ("x=" if opening == "{a:" else "") + opening * 300 + inner + end * 300
    assert (Source.DECODED, Sink.EXECUTE) in {(flow.source, flow.sink) for flow in read_javascript(source).flows}


@pytest.mark.parametrize(
    "source", ["let s='abcdefgh';\n" + "s=s+s;\n" * 4_000, "let s='abcdefgh';\n" + "s+='abcdefghijkl';\n" * 6_000]
)
def test_growth_by_repetition_ends_in_a_bound(source: str) -> None:
    assert list(read_javascript(source).bounds) == ["text built at run time"]


def test_a_sum_of_any_length_is_one_text() -> None:
    source = "x = " + " + ".join(f"'{character}'" for character in "alert(1);" * 100)
    assert [embedded.text for embedded in read_javascript(source).embedded] == ["alert(1);" * 100]


def test_places_count_characters() -> None:
    source = "// é 🙂\nfetch('https://a.io/é');\n"
    [network] = read_javascript(source).capabilities
    assert source[network.start : network.end] == "fetch('https://a.io/é')"


@pytest.mark.parametrize(("opening", "closing"), [("{a:", "}"), ("[", "]")])
def test_patterns_nested_without_end_do_no_harm(opening: str, closing: str) -> None:
    source = f"let {opening * 2_000}b{closing * 2_000} = process.env; fetch('https://a.io')"
    assert any(capability.subject == "https://a.io" for capability in read_javascript(source).capabilities)
