"""Every reader takes any bytes: nothing is raised, written or fetched, and no analyser fails behind the facts."""

from __future__ import annotations

import builtins
import os
from typing import Any

import pytest
from byte_readers import FILES, READERS, facts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_core.policy import load_policy
from sigma_core.sandbox.rules import load_rules

TOKENS = st.sampled_from(
    ["(", ")", "[", "]", "{", "}", "<", ">", "'", '"', "`", "```", "${", "$(", "@'", "'@", "<#", "#>", "#!", "/*", "*/", "//", "#", ";", ":", ",", ".", "=", "=>", "-", "--", "---", "|", "||", "&&", "\\", "\\x41", "%41", "&#99;", "QUJDREVGR0hJSktMTU5PUFFSU1RVVg==", "63757263", "<!--", "-->", "<b", "hidden>", "</b>", "<script>", "</script>", "PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "stream", "endstream", "BT", "(a)", "Tj", "ET", "/JS", "/URI", "ustar", "run:", "&a", "*a", "<<:", "!", "|", "?", "key:", "-", '{"mcpServers":{"a":{"command":"b"}}}', '{"scripts":{"install":"x"}}', "hooks:", "command:", "RUN", "a<b,", "let", "def", "import", "eval(", "exec(", "os.system(", "curl", "wget", "base64", "pip", "install", "npx", "https://a.b/c", "part", "1:", "ignore", "all", "previous", "instructions", "\u200b", "\u202e", "\U000e0041", "а", "̶", "�", "é", "0", "9999999999", "None"]
).map(lambda token: token.encode("utf-8", "surrogatepass"))  # fmt: skip
BYTES = st.lists(
    st.one_of(TOKENS, TOKENS, st.sampled_from([b" ", b"\n", b"\n  ", b"\0"]), st.binary(max_size=6)), max_size=40
).map(b"".join)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.fixture
def _only_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a file for anything but reading, starting a program and removing anything fail. Sockets are closed to every test."""
    load_rules(), load_policy()
    opened = builtins.open

    def reading(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        assert not set(mode) & set("wax+"), file
        return opened(file, mode, *rest, **more)

    def never(*given: Any, **named: Any) -> None:
        raise AssertionError(given)

    for name in ("system", "popen", "remove", "unlink", "rename", "mkdir", "rmdir", "posix_spawn", "fork"):
        monkeypatch.setattr(os, name, never)
    monkeypatch.setattr("subprocess.Popen", never)
    monkeypatch.setattr(builtins, "open", reading)


@pytest.mark.usefixtures("_only_reads")
@pytest.mark.parametrize("name", READERS)
def test_reader_takes_any_bytes(name: str) -> None:
    @settings(FUZZ, max_examples=30)
    @given(BYTES)
    def check(data: bytes) -> None:
        READERS[name](data)

    check()


@pytest.mark.usefixtures("_only_reads")
@settings(FUZZ, max_examples=150)
@given(st.sampled_from(FILES), BYTES)
def test_no_analyser_fails_behind_the_facts(name: str, data: bytes) -> None:
    facts_of(name, data)
