"""Two APIs: what is sent, what is read from what comes back, and token counts that do not overlap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import KEY, SEED, endpoint, request

from sigma_core.audit.language_models.answer import SCHEMA
from sigma_core.audit.language_models.attempts import Tokens
from sigma_core.audit.language_models.dialects import (
    ResponseMalformed,
    is_model,
    read_response,
    request_body,
    request_headers,
)
from sigma_core.audit.language_models.families import PROVIDERS, Dialect
from sigma_core.audit.language_models.packing import pack
from sigma_core.audit.language_models.prompt import audit_prompt

ASKED = request()
PROMPT = audit_prompt(
    ASKED, pack(ASKED.package, 120_000, 40)[0], (1, 1), seed=SEED, echo="sigma-1", advice="", max_facts=5
)


def body(provider: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(request_body(PROVIDERS[provider], "m", PROMPT, 100))
    return made


@pytest.mark.parametrize("provider", ["openai", "openrouter", "vllm", "ollama"])
def test_an_openai_compatible_provider_is_held_to_the_schema(provider: str) -> None:
    sent = body(provider)
    assert sent["response_format"]["json_schema"] == {"name": "report", "strict": True, "schema": SCHEMA}
    assert sent["messages"][0] == {"role": "system", "content": PROMPT.rules}
    assert sent["messages"][1]["content"].startswith(PROMPT.shared)
    assert "tools" not in sent
    assert (sent.get("max_completion_tokens") or sent.get("max_tokens")) == 100


def test_openai_gets_no_temperature_which_its_reasoning_models_refuse() -> None:
    assert "temperature" not in body("openai")
    assert {body(name)["temperature"] for name in ("openrouter", "vllm", "ollama", "anthropic")} == {0}


def test_openrouter_may_not_choose_a_host_that_ignores_the_schema() -> None:
    assert body("openrouter")["provider"] == {"require_parameters": True}


def test_anthropic_must_fill_the_schema_and_caches_what_the_panel_shares() -> None:
    sent = body("anthropic")
    assert sent["tool_choice"] == {"type": "tool", "name": "report"}
    assert [tool["input_schema"] for tool in sent["tools"]] == [SCHEMA]
    shared, own = sent["messages"][0]["content"]
    assert (shared["text"], own["text"]) == (PROMPT.shared, PROMPT.own)
    assert "cache_control" in shared
    assert "cache_control" not in own


def test_the_same_prompt_is_the_same_bytes() -> None:
    for provider in PROVIDERS.values():
        assert request_body(provider, "m", PROMPT, 100) == request_body(provider, "m", PROMPT, 100)


def test_keys_are_in_headers_and_in_no_text_of_an_endpoint() -> None:
    openai, anthropic, bare = (
        endpoint("http://x", "openai"),
        endpoint("http://x", "anthropic"),
        endpoint("http://x", "vllm", None),
    )
    assert request_headers(openai)["authorization"] == f"Bearer {KEY}"
    assert request_headers(anthropic)["x-api-key"] == KEY
    assert not {"authorization", "x-api-key"} & set(request_headers(bare))
    assert KEY not in f"{openai!r} {anthropic} {PROVIDERS}"


def openai_reply(usage: Any = None, **message: Any) -> bytes:
    return json.dumps(
        {"model": "m", "choices": [{"message": {"content": "{}", **message}, "finish_reason": "stop"}], "usage": usage}
    ).encode()


def anthropic_reply(usage: Any, blocks: list[Any] | None = None) -> bytes:
    content = [{"type": "tool_use", "name": "report", "input": {"a": 1}}] if blocks is None else blocks
    return json.dumps(
        {"type": "message", "model": "m", "content": content, "stop_reason": "tool_use", "usage": usage}
    ).encode()


def test_openai_counts_cached_tokens_inside_the_prompt_and_reasoning_inside_the_completion() -> None:
    usage = {
        "prompt_tokens": 12_000,
        "completion_tokens": 800,
        "prompt_tokens_details": {"cached_tokens": 9_000, "cache_write_tokens": 1_000},
        "completion_tokens_details": {"reasoning_tokens": 300},
    }
    assert read_response(Dialect.OPENAI, openai_reply(usage)).tokens == Tokens(2_000, 9_000, 1_000, 500, 300)


def test_anthropic_counts_cached_tokens_beside_the_input() -> None:
    usage = {"input_tokens": 100, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 50, "output_tokens": 7}
    assert read_response(Dialect.ANTHROPIC, anthropic_reply(usage)).tokens == Tokens(100, 900, 50, 7, 0)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 2**40, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
    ],
)
def test_counts_that_make_no_sense_are_unknown(usage: Any) -> None:
    assert read_response(Dialect.OPENAI, openai_reply(usage)).tokens is None


@pytest.mark.parametrize(
    ("cost", "micro_usd"),
    [
        ("0.0012345", 1_235),
        ("0.0000004", 0),
        ("0.0000005", 1),
        ("2", 2_000_000),
        ("-1", None),
        ('"1"', None),
        ("true", None),
        ("1e300", None),
    ],
)
def test_openrouters_own_cost_is_rounded_half_up_to_micro_usd(cost: str, micro_usd: int | None) -> None:
    raw = openai_reply({"prompt_tokens": 1, "completion_tokens": 1, "cost": "COST"}).replace(b'"COST"', cost.encode())
    assert read_response(Dialect.OPENAI, raw).cost_micro_usd == micro_usd


@pytest.mark.parametrize("dialect", list(Dialect))
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda each: (
                st.lists(each, max_size=3)
                | st.dictionaries(st.sampled_from(["choices", "message", "content", "type", "usage", "model"]), each)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_whatever_a_body_holds_it_is_a_reply_or_malformed(dialect: Dialect, content: bytes) -> None:
    try:
        reply = read_response(dialect, content)
    except ResponseMalformed:
        return
    assert isinstance(reply.content, bytes)


@pytest.mark.parametrize(
    ("reply", "flaw"),
    [
        (openai_reply(refusal="no"), "the model refused"),
        (openai_reply(content=""), "the answer is empty"),
        (openai_reply(content=None), "the answer is empty"),
        (openai_reply().replace(b'"stop"', b'"length"'), "the answer was longer than allowed"),
        (openai_reply().replace(b'"stop"', b'"content_filter"'), "the model refused"),
        (openai_reply().replace(b'"stop"', b"null"), "the answer ended for an unknown reason"),
        (openai_reply(), ""),
    ],
)
def test_a_response_without_a_usable_answer_says_why(reply: bytes, flaw: str) -> None:
    assert read_response(Dialect.OPENAI, reply).flaw == flaw


def test_two_reports_are_none() -> None:
    block = {"type": "tool_use", "name": "report", "input": {}}
    assert read_response(Dialect.ANTHROPIC, anthropic_reply({}, [block, block])).flaw == "the answer is empty"


@pytest.mark.parametrize(
    ("asked", "echoed", "same"),
    [
        ("gpt-5", "gpt-5", True),
        ("gpt-5", "gpt-5-2025-08-07", True),
        ("claude-opus-4-5", "claude-opus-4-5-20251101", True),
        ("google/gemini-2.5-flash", "gemini-2.5-flash", True),
        ("llama3.3", "llama3.3:latest", True),
        ("gpt-5", "gpt-5-mini", False),
        ("gpt-5", "gpt-5-mini-2025-08-07", False),
        ("claude-sonnet-4", "claude-sonnet-4-5", False),
        ("gpt-5", "gpt-4", False),
        ("gpt-5", "", False),
    ],
)
def test_a_model_is_known_by_its_name_and_a_date(asked: str, echoed: str, same: bool) -> None:
    assert is_model(asked, echoed) is same
