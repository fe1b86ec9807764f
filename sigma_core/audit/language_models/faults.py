"""What went wrong with a call, in words that an operator can act on, and the key taken out of whatever came back.

Nothing of what a provider wrote is repeated: its error codes are looked up in a closed list, since its texts may hold parts of the
key, of the package or of another customer's request. The texts here end up in public verdicts, so no address is in them either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

SHORTEST_SECRET = 12
"""A shorter key (``EMPTY``, ``ollama``) is a placeholder and may well be a word of the answer."""
REMOVED = b"[key removed]"

_MEANS: Mapping[str, str] = {
    "http_400": "the request was refused; the model may not take so long a prompt, or not the schema",
    "http_401": "the key was refused: check {variable}_API_KEY",
    "http_402": "the account has no credit left",
    "http_403": "the key may not use {model}: check {variable}_API_KEY",
    "http_404": "there is no model {model} or no such address: check the policy's ladder and {variable}_BASE_URL",
    "http_413": "the prompt is too long for it: lower chunk_characters in the policy",
    "http_429": "too many requests",
    "connect": "no connection: check {variable}_BASE_URL, and that it can be reached from here",
    "deadline": "no answer in time",
    "malformed": "what came is no response of this API: check {variable}_BASE_URL",
    "other_model": "another model answered than {model}: check the policy's ladder",
    "reset": "the connection broke off",
    "encoded": "the response was compressed, which was not asked for",
    "too_large": "the response is larger than max_response_bytes of the policy",
    # Error codes in bodies, by which a status says more.
    "context_length_exceeded": "the prompt is longer than {model} takes: lower chunk_characters in the policy",
    "insufficient_quota": "the account has no credit left",
    "invalid_api_key": "the key was refused: check {variable}_API_KEY",
    "model_not_found": "there is no model {model}: check the policy's ladder",
}
_REDIRECTED = "it redirects, which is not followed: set {variable}_BASE_URL to where its API is"
_ITS_OWN = "the fault is the provider's"
_WORDS = ("context_length_exceeded", "insufficient_quota", "invalid_api_key", "model_not_found")
NO_CREDIT = "insufficient_quota"


def explained(provider: str, model: str, code: str, word: str = "") -> str:
    """``openai did not answer: http_401, the key was refused: check SIGMA_OPENAI_API_KEY``. ``code`` is the attempt's, ``word`` from
    `error_word`."""
    means = _MEANS.get(word) or _MEANS.get(code) or (_REDIRECTED if code.startswith("http_3") else "")
    means = means or (_ITS_OWN if code.startswith("http_5") else "")
    told = means.format(variable=f"SIGMA_{provider.upper()}", model=model)
    return f"{provider} did not answer: {code}" + (f", {told}" if told else "")


def error_word(body: bytes) -> str:
    """The error code in an error's body where it is one that says more than the status, else an empty string."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, RecursionError, AttributeError):
        return ""
    words = (error.get("code"), error.get("type")) if isinstance(error, dict) else ()
    return next((word for word in words if word in _WORDS), "")


def without_key(body: bytes, key: str | None) -> bytes:
    """``body`` without the key that it was asked with, plain or as JSON writes it: a proxy that repeats its request must not have us
    store it."""
    if key is None or len(key) < SHORTEST_SECRET:
        return body
    for form in (key, json.dumps(key)[1:-1]):
        body = body.replace(form.encode(), REMOVED)
    return body
