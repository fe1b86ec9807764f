"""The two APIs that providers speak: a prompt as request bytes, a response's bytes as `Reply`. Pure; nothing is sent here.

OpenAI-compatible: ``/chat/completions`` with a strict JSON schema as response format. Anthropic: ``/messages`` with one
tool that must be called and whose input is the answer (nothing is run: the schema is what the tool is for).
Token counts come in two ways: OpenAI counts cached tokens inside the prompt and reasoning inside the completion, Anthropic
counts cached tokens beside the input. `Tokens` has them apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import re2

from sigma_core.audit.language_models.answer import SCHEMA
from sigma_core.audit.language_models.attempts import Tokens
from sigma_core.audit.language_models.families import Dialect, Endpoint, Provider
from sigma_core.audit.language_models.prompt import Prompt
from sigma_core.canonical import MAX_SAFE_INTEGER

ANTHROPIC_VERSION = "2023-06-01"
ANSWER_NAME = "report"
MICRO_USD = 1_000_000
_DATED = re2.compile(r"[-@](?:[0-9]{4}-?[0-9]{2}-?[0-9]{2})")
_FINISHED = ("stop", "end_turn", "tool_use", "stop_sequence")
_OVERLONG = ("length", "max_tokens", "model_context_window_exceeded")
_REFUSED = ("content_filter", "refusal")


class ResponseMalformed(Exception):
    """A body with status 200 that is not a response of this API. The text is ours."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: the answer's bytes (empty where there is none), why it ended, and what it took."""

    content: bytes = field(repr=False)
    finish_reason: str
    refused: bool
    model: str
    tokens: Tokens | None
    cost_micro_usd: int | None

    @property
    def flaw(self) -> str:
        """Why there is no answer in it, or an empty string."""
        if self.refused or self.finish_reason in _REFUSED:
            return "the model refused"
        if self.finish_reason in _OVERLONG:
            return "the answer was longer than allowed"
        if self.finish_reason not in _FINISHED:
            return "the answer ended for an unknown reason"
        return "" if self.content.strip() else "the answer is empty"


def request_body(provider: Provider, model: str, prompt: Prompt, max_output_tokens: int) -> bytes:
    """The request, the same bytes for the same prompt."""
    ask = _anthropic_request if provider.dialect is Dialect.ANTHROPIC else _openai_request
    document = ask(provider, model, prompt, max_output_tokens)
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()


def request_headers(endpoint: Endpoint) -> dict[str, str]:
    """Headers, the key among them: for the transport's eyes only."""
    headers = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
    if endpoint.provider.dialect is Dialect.ANTHROPIC:
        headers["anthropic-version"] = ANTHROPIC_VERSION
    if endpoint.key is not None:
        if endpoint.provider.dialect is Dialect.ANTHROPIC:
            headers["x-api-key"] = endpoint.key
        else:
            headers["authorization"] = f"Bearer {endpoint.key}"
    return headers


def read_response(dialect: Dialect, body: bytes) -> Reply:
    """The response in ``body``. Raises ResponseMalformed."""
    try:
        document = json.loads(body, object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ResponseMalformed("not JSON") from None
    if not isinstance(document, dict):
        raise ResponseMalformed("not an object")
    return (_anthropic_reply if dialect is Dialect.ANTHROPIC else _openai_reply)(document)


def is_model(asked: str, echoed: str) -> bool:
    """Whether a response comes from the model that was asked: by its own name or with a date behind it."""
    if not echoed:
        return False
    # OpenRouter's names carry the vendor, its responses sometimes do not; Ollama adds the tag that was meant.
    for name in {asked, asked.rpartition("/")[2]}:
        if echoed in (name, f"{name}:latest") or (echoed.startswith(name) and _DATED.fullmatch(echoed[len(name) :])):
            return True
    return False


def _openai_request(provider: Provider, model: str, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": prompt.rules},
            {"role": "user", "content": f"{prompt.shared}\n\n{prompt.own}"},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": ANSWER_NAME, "strict": True, "schema": SCHEMA},
        },
        provider.output_limit: max_output_tokens,
        **({"temperature": 0} if provider.temperature else {}),
        **provider.extra,
    }


def _anthropic_request(provider: Provider, model: str, prompt: Prompt, max_output_tokens: int) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": max_output_tokens,
        "system": prompt.rules,
        "messages": [
            {
                "role": "user",
                "content": [
                    # The panel's other seats on this model read what stands up to here from the cache.
                    {"type": "text", "text": prompt.shared, "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": prompt.own},
                ],
            }
        ],
        "tools": [{"name": ANSWER_NAME, "description": "Report the audit.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": ANSWER_NAME},
        **({"temperature": 0} if provider.temperature else {}),
        **provider.extra,
    }


def _openai_reply(document: Mapping[str, Any]) -> Reply:
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ResponseMalformed("not one choice with a message")
    if isinstance(choice.get("error"), dict):
        raise ResponseMalformed("an error in the place of an answer")  # OpenRouter, where the host behind it broke off
    content = message.get("content")
    return Reply(
        content=_encoded(content) if isinstance(content, str) else b"",
        finish_reason=_word(choice.get("finish_reason")),
        refused=bool(message.get("refusal")),
        model=_word(document.get("model"), 80),
        tokens=_openai_tokens(document.get("usage")),
        cost_micro_usd=_cost(document.get("usage")),
    )


def _anthropic_reply(document: Mapping[str, Any]) -> Reply:
    blocks = document.get("content")
    if document.get("type") != "message" or not isinstance(blocks, list):
        raise ResponseMalformed("not a message with content")
    inputs = [
        block.get("input")
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "tool_use" and block.get("name") == ANSWER_NAME
    ]
    reason = _word(document.get("stop_reason"))
    return Reply(
        content=json.dumps(inputs[0], default=str).encode() if len(inputs) == 1 else b"",
        finish_reason=reason,
        refused=reason == "refusal",
        model=_word(document.get("model"), 80),
        tokens=_anthropic_tokens(document.get("usage")),
        cost_micro_usd=None,
    )


def _openai_tokens(usage: object) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    read = _count(_detail(usage, "prompt_tokens_details", "cached_tokens")) or 0
    written = _count(_detail(usage, "prompt_tokens_details", "cache_write_tokens")) or 0
    reasoning = _count(_detail(usage, "completion_tokens_details", "reasoning_tokens")) or 0
    if prompt is None or completion is None or read + written > prompt or reasoning > completion:
        return None
    return Tokens(prompt - read - written, read, written, completion - reasoning, reasoning)


def _anthropic_tokens(usage: object) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    uncached, out = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    if uncached is None or out is None:
        return None
    read, written = (_count(usage.get(f"cache_{kind}_input_tokens")) or 0 for kind in ("read", "creation"))
    return Tokens(uncached, read, written, out)


def _cost(usage: object) -> int | None:
    """The provider's own figure (OpenRouter's ``usage.cost``, USD), rounded half up to micro-USD."""
    cost = usage.get("cost") if isinstance(usage, dict) else None
    if isinstance(cost, bool) or not isinstance(cost, int | Decimal) or not 0 <= cost <= MICRO_USD:
        return None
    return int((Decimal(cost) * MICRO_USD).to_integral_value(rounding=ROUND_HALF_UP))


def _detail(usage: Mapping[str, Any], group: str, name: str) -> object:
    details = usage.get(group)
    return details.get(name) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    """A token count that fits its column."""
    return value if type(value) is int and 0 <= value < 2**31 else None


def _word(value: object, most: int = 40) -> str:
    """A short word of the provider's, safe to keep and print; anything else is nothing."""
    return value if isinstance(value, str) and len(value) <= most and value.isascii() and value.isprintable() else ""


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    for value in document.values():
        if type(value) is int and abs(value) > MAX_SAFE_INTEGER:
            raise ValueError("an integer that no other reader would read alike")
    return document


def _refuse(_: str) -> Any:
    raise ValueError("not a number")
