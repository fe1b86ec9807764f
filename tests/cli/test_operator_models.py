"""``sigma operator models``: what can be asked and what to set where not, whether it answers, and whether the books agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Said
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.storage.usage import CallAttemptRow
from tests.scripted_models import FAULTS, ScriptedModels, error, serving

KEY = "sk-correct-horse-battery"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedModels]:
    with serving() as models:
        yield models


@pytest.fixture
def asked(server: ScriptedModels, deployment: Deployment, make_deployment: Callable[..., Deployment]) -> Deployment:
    """A deployment whose OpenAI is the scripted server."""
    server.script.clear()
    server.by_model.clear()
    server.asked.clear()
    server.answered_tokens.clear()
    return make_deployment(openai_api_key=KEY, openai_base_url=server.url)


def test_without_a_key_every_family_says_what_to_set(deployment: Deployment, sigma: Callable[..., Said]) -> None:
    told = sigma("operator", "models", "list")
    assert told.exit_code == 0
    assert "gpt: disabled: no key: set SIGMA_OPENAI_API_KEY" in told.stdout
    assert "llama: disabled: no address: set SIGMA_OLLAMA_BASE_URL" in told.stdout
    assert "openai/gpt-5: not measured yet, weighs as the ordinary tier" in told.stdout
    tried = sigma("operator", "models", "try")
    assert tried.exit_code == 3
    assert "sigma operator models list says why" in tried.stdout


def test_the_list_is_data_too_and_asks_nobody(
    asked: Deployment, server: ScriptedModels, sigma: Callable[..., Said]
) -> None:
    report = sigma("operator", "models", "list", "--json").json
    families = {family["family"]: family for family in report["families"]}
    assert (families["gpt"]["enabled"], families["gpt"]["validators"]) == (True, {"ACTIVE": 24})
    assert (families["claude"]["enabled"], families["claude"]["reason"]) == (
        False,
        "no key: set SIGMA_ANTHROPIC_API_KEY",
    )
    assert families["gpt"]["models"][0] == {
        "tier": 1,
        "provider": "openai",
        "model": "gpt-4o-mini",
        "answersAs": None,
        "priceKnown": True,
        "measured": None,
    }
    assert report["dayCommittedMicroUsd"] == 0
    assert server.asked == []


def test_an_address_that_is_wrong_shows_in_the_list(
    asked: Deployment, monkeypatch: pytest.MonkeyPatch, sigma: Callable[..., Said]
) -> None:
    monkeypatch.setenv("SIGMA_OPENAI_BASE_URL", f"https://user:{KEY}@api.example.com/v1")
    told = sigma("operator", "models", "list")
    assert "gpt: disabled: SIGMA_OPENAI_BASE_URL holds a user name: a key goes into its own variable" in told.stdout
    assert KEY not in told.stdout + told.stderr


def test_every_model_is_asked_now_at_known_cost_and_recorded(
    asked: Deployment, server: ScriptedModels, sigma: Callable[..., Said]
) -> None:
    tried = sigma("operator", "models", "try")
    assert tried.exit_code == 0, tried.stdout
    assert [line.partition(" in ")[0] for line in tried.stdout.splitlines()] == [
        "openai/gpt-4o-mini: SAFE",
        "openai/gpt-5: SAFE",
    ]
    assert " micro-USD" in tried.stdout
    assert sigma("operator", "models", "try").exit_code == 0
    assert len(server.asked) == 4  # an answer on record says nothing about now
    with asked.usage_sessions() as session:
        assert len(session.scalars(select(CallAttemptRow)).all()) == 4


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (error(401), "http_401, the key was refused: check SIGMA_OPENAI_API_KEY"),
        (error(404), "there is no model gpt-5 or no such address: check the policy's ladder and SIGMA_OPENAI_BASE_URL"),
        (FAULTS["other_model"], "another model answered than gpt-5: check the policy's ladder"),
    ],
    ids=["key", "model", "other"],
)
def test_a_model_that_does_not_answer_says_what_to_check(
    asked: Deployment, server: ScriptedModels, sigma: Callable[..., Said], step: object, told: str
) -> None:
    server.play(step, model="gpt-5")  # type: ignore[arg-type]
    tried = sigma("operator", "models", "try", "--json")
    assert tried.exit_code == 3
    good, bad = tried.json["models"]
    assert (good["answered"], good["reason"]) == (True, None)
    assert bad["answered"] is False
    assert told in bad["reason"]
    assert KEY not in tried.stdout + tried.stderr


def test_the_books_are_held_against_what_the_provider_billed(
    asked: Deployment, server: ScriptedModels, sigma: Callable[..., Said], tmp_path: Path
) -> None:
    sigma("operator", "models", "try")
    with asked.usage_sessions() as session:
        rows = session.scalars(select(CallAttemptRow).order_by(CallAttemptRow.id)).all()
    billed = [
        f"openai,{model},{rows[0].begun_on},{into},{out},{row.cost_micro_usd}"
        for (model, into, out), row in zip(server.answered_tokens, rows, strict=True)
    ]
    head = "provider,model,day,tokens_in,tokens_out,cost_micro_usd"
    asked.settings.provider_totals.mkdir()
    (asked.settings.provider_totals / "openai.csv").write_text("\n".join([head, *billed]))
    agreed = sigma("operator", "models", "reconcile", "--json")
    assert (agreed.exit_code, agreed.json) == (0, {"totals": 2, "differences": [], "unexplained": 0})
    (tmp_path / "less.csv").write_text(f"{head}\nopenai,gpt-5,{rows[0].begun_on},1,1,")
    differing = sigma("operator", "models", "reconcile", tmp_path / "less.csv")
    assert differing.exit_code == 1
    assert f"openai/gpt-5 on {rows[0].begun_on}: tokens in is " in differing.stdout
    assert "openai/gpt-4o-mini" in differing.stdout  # which the provider does not list
    (tmp_path / "bad.csv").write_text(f"{head}\nopenai,gpt-5,yesterday,1,1,")
    refused = sigma("operator", "models", "reconcile", tmp_path / "bad.csv", "--json")
    assert (refused.exit_code, refused.error["code"]) == (2, "PROVIDER_TOTALS_INVALID")
    assert "bad.csv: line 2: day is not a day" in refused.error["message"]
    assert sigma("operator", "models", "reconcile", tmp_path / "none.csv").exit_code == 2
