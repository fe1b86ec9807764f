"""Which language-model families a deployment can ask, and the reason that names what to set where it cannot."""

from __future__ import annotations

import pytest
from model_samples import KEY, POLICY

from sigma_core.audit.language_models.families import Endpoint, endpoint_of, endpoints, family_statuses
from sigma_core.config import load_settings
from sigma_core.policy import LanguageModelRules, PolicyError, Rung, TierBar, parse_policy

RULES = POLICY.language_models


def status(family: str) -> tuple[bool, str]:
    found = next(each for each in family_statuses(RULES, load_settings()) if each.family == family)
    return found.enabled, found.reason


def test_with_nothing_set_every_family_is_disabled_and_says_what_to_set() -> None:
    assert {each.family: each.reason for each in family_statuses(RULES, load_settings())} == {
        "claude": "no key: set SIGMA_ANTHROPIC_API_KEY",
        "gemini": "no key: set SIGMA_OPENROUTER_API_KEY",
        "gpt": "no key: set SIGMA_OPENAI_API_KEY",
        "llama": "no address: set SIGMA_OLLAMA_BASE_URL",
        "qwen": "no address: set SIGMA_VLLM_BASE_URL",
    }
    assert endpoints(RULES, load_settings()) == {}


def test_keys_that_lie_in_the_shell_for_other_tools_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert not any(each.enabled for each in family_statuses(RULES, load_settings()))


def test_a_key_enables_its_family_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_ANTHROPIC_API_KEY", KEY)
    assert status("claude") == (True, "")
    assert status("gpt")[0] is False
    assert endpoint_of("anthropic", load_settings()).url == "https://api.anthropic.com/v1/messages"  # type: ignore[union-attr]


def test_a_server_of_ones_own_needs_an_address_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_VLLM_BASE_URL", "http://gpu.internal:8000/v1/")
    found = endpoint_of("vllm", load_settings())
    assert isinstance(found, Endpoint)
    assert (found.url, found.key) == ("http://gpu.internal:8000/v1/chat/completions", None)
    assert status("qwen") == (True, "")


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("http://api.example.com/v1", "is not encrypted: a key is only sent over https, or to this machine"),
        ("https://user:secret@api.example.com/v1", "holds a user name: a key goes into its own variable"),
        ("ftp://api.example.com", "is not an http(s) URL without query"),
        ("https://api.example.com/v1?key=1", "is not an http(s) URL without query"),
        ("https://[bad", "is not a URL"),
        ("api.example.com", "is not an http(s) URL without query"),
        ("https://api.example.com/v1\n", "holds signs that no URL has"),
        ("https://api.example.com/v 1", "holds signs that no URL has"),
        ("https://127.0.0.1\\.example.com/v1", "holds signs that no URL has"),
        ("https://api.example.com:99999/v1", "is not a URL"),
        ("http://localhost.example.com/v1", "is not encrypted: a key is only sent over https, or to this machine"),
        ("http://127.0.0.1@example.com/v1", "holds a user name: a key goes into its own variable"),
    ],
)
def test_an_address_that_a_key_must_not_go_to(url: str, flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("SIGMA_OPENAI_BASE_URL", url)
    assert endpoint_of("openai", load_settings()) == f"SIGMA_OPENAI_BASE_URL {flaw}"


def test_a_key_may_go_to_this_machine_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("SIGMA_OPENAI_BASE_URL", "http://127.0.0.1:4000/v1")
    assert isinstance(endpoint_of("openai", load_settings()), Endpoint)


@pytest.mark.parametrize("key", ["sk-\nx", "sk-schlüssel", "sk\x00"])
def test_a_key_that_would_break_a_header_is_refused_and_not_repeated(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import SecretStr

    settings = load_settings().model_copy(update={"openai_api_key": SecretStr(key)})
    assert endpoint_of("openai", settings) == "SIGMA_OPENAI_API_KEY holds signs that no key has"


def test_settings_show_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_OPENAI_API_KEY", KEY)
    settings = load_settings()
    assert KEY not in f"{settings} {settings!r} {settings.model_dump_json()}"


def ladder(*steps: tuple[str, int, str]) -> LanguageModelRules:
    return LanguageModelRules(
        tiers=tuple(
            TierBar(tier=tier, min_sensitivity_ppm=0, min_specificity_ppm=0, weight_ppm=1) for tier in (1, 2, 3)
        ),
        ladder=tuple(Rung(family=family, tier=tier, provider="openai", model=model) for family, tier, model in steps),
    )


def test_a_validators_tier_is_the_step_it_stands_on_or_the_nearest_below() -> None:
    rules = ladder(("fa", 1, "small"), ("fa", 3, "large"), ("fb", 2, "only"))
    assert [rules.rung("fa", tier).model for tier in (1, 2, 3, 9)] == ["small", "small", "large", "large"]  # type: ignore[union-attr]
    assert rules.rung("fb", 1).model == "only"  # type: ignore[union-attr]
    assert rules.rung("fc", 1) is None


def test_a_family_with_the_name_of_an_embedded_one_is_not_taken_for_it() -> None:
    found = family_statuses(ladder(("signatures", 1, "m")), load_settings())
    assert (found[0].enabled, found[0].reason) == (False, "an embedded family has this name")


def test_a_policy_from_before_there_were_language_models_has_none() -> None:
    from sigma_core.policy import DEFAULT_POLICY_FILE

    old = DEFAULT_POLICY_FILE.read_text().partition("[language_models]")[0]
    rules = parse_policy(old, "old.toml").language_models
    assert rules.ladder == ()
    assert family_statuses(rules, load_settings()) == ()
    written = POLICY.language_models.model_dump(exclude={"tiers", "ladder"})
    assert rules.model_dump(exclude={"tiers", "ladder"}) == written  # the defaults are what the file says


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ('family = "gpt"\ntier = 2', "ladder has two models of one family and tier"),
        ('family = "gpt"\ntier = 7', "ladder: gpt-5 is of tier 7, which tiers does not describe"),
    ],
)
def test_a_ladder_that_cannot_be_climbed(change: str, rule: str) -> None:
    from sigma_core.policy import DEFAULT_POLICY_FILE

    text = DEFAULT_POLICY_FILE.read_text()
    text = (
        text.replace('family = "gpt"\ntier = 2', change)
        if "7" in change
        else text.replace('family = "gpt"\ntier = 1', change)
    )
    with pytest.raises(PolicyError, match=rule):
        parse_policy(text, "x.toml")
