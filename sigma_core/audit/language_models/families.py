"""Which language-model families this deployment can ask: the policy's ladder held against the settings."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from sigma_core.audit.families.parameters import FAMILY_PARAMETERS
from sigma_core.config import Settings
from sigma_core.policy import LanguageModelRules

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Dialect(StrEnum):
    """Which API a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclass(frozen=True, slots=True)
class Provider:
    """How one provider wants to be asked. ``local`` ones are the operator's own machines: what they serve costs nothing but
    where the price table names the model."""

    name: str
    dialect: Dialect
    needs_key: bool
    local: bool = False
    output_limit: str = "max_tokens"
    temperature: bool = True
    extra: Mapping[str, object] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        # OpenAI's reasoning models refuse a temperature and the older name of the limit.
        Provider("openai", Dialect.OPENAI, True, output_limit="max_completion_tokens", temperature=False),
        Provider("anthropic", Dialect.ANTHROPIC, True),
        # Without this OpenRouter may pick a host that ignores the schema.
        Provider("openrouter", Dialect.OPENAI, True, extra={"provider": {"require_parameters": True}}),
        Provider("vllm", Dialect.OPENAI, False, local=True),
        Provider("ollama", Dialect.OPENAI, False, local=True),
    )
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is asked, and the key that it is asked with. The key is in no text form of this object."""

    provider: Provider
    url: str
    key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FamilyStatus:
    """Whether a family can be asked here; ``reason`` says why not, and what would change it."""

    family: str
    enabled: bool
    reason: str

    def as_json(self) -> dict[str, str]:
        """``{family, reason}``: how a round names a family that it had to do without."""
        return {"family": self.family, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class SeatPlace:
    """Whom a seat's calls are booked on. ``seed`` is the round's, 64 hex digits; it keys nonces and canaries. ``planted`` tells the
    calls about a view with a planted file from those about the seat's own; it shows in the ledger and in no prompt."""

    round_id: str
    submission_id: str
    phase: int
    number: int
    validator_id: str
    seed: str
    planted: bool = False


def endpoint_of(provider_name: str, settings: Settings) -> Endpoint | str:
    """The endpoint of a provider, or the reason why there is none."""
    provider = PROVIDERS[provider_name]
    variable = f"SIGMA_{provider_name.upper()}"
    base_url = getattr(settings, f"{provider_name}_base_url")
    secret = getattr(settings, f"{provider_name}_api_key", None)
    key = secret.get_secret_value().strip() if secret is not None else ""
    if provider.needs_key and not key:
        return f"no key: set {variable}_API_KEY"
    if not base_url:
        return f"no address: set {variable}_BASE_URL"
    if not key.isascii() or not key.isprintable():
        return f"{variable}_API_KEY holds signs that no key has"
    flaw = _flaw_of_url(base_url, with_key=bool(key))
    if flaw:
        return f"{variable}_BASE_URL {flaw}"
    path = "/messages" if provider.dialect is Dialect.ANTHROPIC else "/chat/completions"
    return Endpoint(provider, base_url.rstrip("/") + path, key or None)


def endpoints(rules: LanguageModelRules, settings: Settings) -> dict[str, Endpoint]:
    """Every endpoint that the ladder can use here, by provider name."""
    found = {name: endpoint_of(name, settings) for name in sorted({rung.provider for rung in rules.ladder})}
    return {name: endpoint for name, endpoint in found.items() if isinstance(endpoint, Endpoint)}


def family_statuses(rules: LanguageModelRules, settings: Settings) -> tuple[FamilyStatus, ...]:
    """Every family of the ladder, sorted: a family is enabled when each of its models can be asked."""
    statuses = []
    for family in rules.families:
        reasons = sorted(
            {
                found
                for rung in rules.ladder
                if rung.family == family and isinstance(found := endpoint_of(rung.provider, settings), str)
            }
        )
        if family in FAMILY_PARAMETERS:
            reasons = ["an embedded family has this name"]
        if not reasons and importlib.util.find_spec("httpx") is None:
            reasons = ["the extra is not installed: sigma-verification[models]"]
        statuses.append(FamilyStatus(family, not reasons, "; ".join(reasons)))
    return tuple(statuses)


def _flaw_of_url(url: str, *, with_key: bool) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if not url.isprintable() or " " in url or "\\" in url:
        return "holds signs that no URL has"
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        return "is not an http(s) URL without query"
    if parts.username is not None or parts.password is not None:
        return "holds a user name: a key goes into its own variable"
    if with_key and parts.scheme == "http" and host not in LOOPBACK:
        return "is not encrypted: a key is only sent over https, or to this machine"
    return ""
