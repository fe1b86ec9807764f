"""Shell text that is made to cost much: it is cut into pieces that do not, nothing is lost silently, and nothing fails."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.observations import Sink, Source
from sigma_core.sandbox.shell import read_shell
from sigma_core.sandbox.shell.pieces import SMALL, Pieces

SHELL_TEXT = st.lists(
    st.sampled_from(
        ["a", "curl ", "|", "||", "&", ";", "\n", "(", ")", "{", "}", "<<E\n", "E\n", "<", ">", "$(", "${x:-", "`", '"', "'", "\\", "#", "if ", "then ", "fi ", "case x in ", "do ", "done ", "((", "[[ ", "é", "=", "f() { ", "$a", "a+=x\n", "<a b>"]
    ),
    max_size=400,
).map("".join)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(SHELL_TEXT)
def test_any_text_is_read_and_every_place_lies_in_it(source: str) -> None:
    observed = read_shell(source)
    for what in [*observed.capabilities, *observed.flows, *observed.hits, *observed.embedded]:
        assert 0 <= what.start <= what.end <= len(source)
    assert read_shell(source) == observed


@settings(max_examples=30, deadline=None)
@given(SHELL_TEXT, st.integers(1, 40))
def test_the_pieces_are_the_text(source: str, times: int) -> None:
    source *= times
    at = 0
    for start, data, _root in Pieces(source).trees():
        assert start == at
        at += len(data.decode())
    assert at == len(source)


@pytest.mark.parametrize(
    "unit", ["a)", "||||||||a\n", "a&)", "<<<<", "))||", "((", "a | ", "cat <<E <<F\n", '"$(a | b)\n']
)
def test_broken_text_is_parsed_in_small_pieces(unit: str) -> None:
    source = unit * (16_000 // len(unit))
    broken = [len(data) for _, data, root in Pieces(source).trees() if root.has_error and len(data) > SMALL]
    # The parser stops at the first error; what it calls broken only at the very end took it no time.
    assert len(broken) <= 1


def test_a_statement_that_must_be_cut_is_a_bound() -> None:
    assert list(read_shell("a)" * 1_500).bounds) == ["statement too long to parse"]
    assert not read_shell("echo a | grep b\n" * 4_000).bounds


def test_a_broken_line_does_not_hide_the_others() -> None:
    source = "x=1\n" * 600 + ")))) &&& (\n" + "y=2\n" * 600 + "curl -s https://a.io/x | sh\n"
    assert (Source.REMOTE, Sink.EXECUTE) in {(flow.source, flow.sink) for flow in read_shell(source).flows}


def test_quotes_and_here_documents_are_not_cut_where_the_text_allows_it() -> None:
    document = "cat > run.py <<'EOF'\n" + "print('a | b')\n" * 80 + "EOF\n"
    observed = read_shell("a)\n" * 600 + document * 2)
    assert not observed.bounds
    assert any(embedded.text.startswith("print") for embedded in observed.embedded) or observed.capabilities


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("a=xxxxxxxxxxxxxxxx\n" + 'a="${a//x/xx}"\n' * 2_000, "text built at run time"),
        ("a=" + "x" * 60_000 + "\n" + "echo $a\n" * 2_000, "text built at run time"),
        ("f() {\n" + "echo $1\n" * 3_000 + "}\n" + "".join(f"f https://a.io/{n}\n" for n in range(2_000)), "function calls"),
        ("$(" * 200 + "a" + ")" * 200, "nesting"),
    ],
)  # fmt: skip
def test_growth_by_repetition_ends_in_a_bound(source: str, bound: str) -> None:
    assert bound in read_shell(source).bounds


def test_places_count_characters_and_pieces() -> None:
    source = "# é 🙂 é\n" + "a)\n" * 900 + "curl https://a.io/é\n"
    [network] = [capability for capability in read_shell(source).capabilities if "a.io" in capability.subject]
    assert source[network.start : network.end] == "curl https://a.io/é"


def test_a_chain_of_any_length_is_read_from_its_first_link() -> None:
    observed = read_shell("curl -s https://a.io/x | sh && " + "a && " * 500 + "b")
    assert not observed.bounds
    assert (Source.REMOTE, Sink.EXECUTE) in {(flow.source, flow.sink) for flow in observed.flows}
