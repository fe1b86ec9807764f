"""Checks of usage accounting: rows against budgets, rows against providers' bills, and costs that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from sqlalchemy import select

from sigma_core.audit.language_models.attempts import Attempt, AttemptState, Call, Tokens
from sigma_core.deployment import Deployment
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.usage.ledger import UsageLedger
from sigma_core.usage.prices import load_prices
from sigma_pipelines.defs.models.assets import LAKE_ASSETS
from sigma_pipelines.defs.usage.checks import CALL_ATTEMPTS, USAGE_CHECKS
from sigma_pipelines.resources.deployment import SigmaDeployment

CHECKS = {"budgets_agree", "provider_totals_agree", "costs_are_known"}


@pytest.fixture
def attempt(deployment: Deployment) -> Callable[..., CallAttemptRow]:
    """Make one paid attempt at a model and return its row."""

    def made(model: str = "gpt-4o-mini") -> CallAttemptRow:
        ledger = UsageLedger(
            deployment.usage_sessions, deployment.blobs, load_prices(), deployment.policy.language_models
        )
        call = Call(f"rnd_1/{model}", "rnd_1", "sub_1", 1, "val_1", "audit", "openai", model, model.encode(), 10, 10)
        ledger.claim(call)
        answer = Attempt(call, 1, AttemptState.DONE, "stop", 200, tokens=Tokens(1_000, 0, 0, 100), response=b"{}")
        ledger.record(answer, ledger.reserve(call, 1))
        with deployment.usage_sessions() as session:
            return session.scalars(select(CallAttemptRow).where(CallAttemptRow.call_key == call.key)).one()

    return made


@pytest.fixture(autouse=True)
def _closed_after(deployment: Deployment) -> Iterator[None]:
    yield
    SigmaDeployment().open().close()


def checked() -> dict[str, dg.AssetCheckEvaluation]:
    """The checks after an export of the attempts, by name."""
    asset = next(each for each in LAKE_ASSETS if each.key == CALL_ATTEMPTS)
    result = dg.materialize(
        [asset, *USAGE_CHECKS],
        resources={"sigma": SigmaDeployment()},
        selection=dg.AssetSelection.assets(CALL_ATTEMPTS),
    )
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_books_that_agree_pass(attempt: Callable[..., CallAttemptRow]) -> None:
    attempt()
    found = checked()
    assert {name: each.passed for name, each in found.items()} == dict.fromkeys(CHECKS, True)
    assert found["provider_totals_agree"].metadata["totals"].value == 0


def test_a_changed_row_fails_by_name(deployment: Deployment, attempt: Callable[..., CallAttemptRow]) -> None:
    attempt()
    with deployment.usage_sessions.begin() as session:
        session.scalars(select(CallAttemptRow)).one().budget_micro_usd += 1
    found = checked()["budgets_agree"]
    assert not found.passed
    assert "round/rnd" in str(found.metadata["differences"].value)
    assert found.metadata["unexplained"].value == 2  # the round's and the day's


@pytest.mark.parametrize(("line", "passed"), [("1000,100,", True), ("1001,100,", False), ("x,100,", False)])
def test_a_providers_bill_in_the_folder_is_compared(
    deployment: Deployment, attempt: Callable[..., CallAttemptRow], line: str, passed: bool
) -> None:
    day = attempt().begun_on
    folder = deployment.settings.provider_totals
    folder.mkdir()
    (folder / "openai.csv").write_text(
        f"provider,model,day,tokens_in,tokens_out,cost_micro_usd\nopenai,gpt-4o-mini,{day},{line}\n"
    )
    found = checked()["provider_totals_agree"]
    assert found.passed is passed
    if line.startswith("x"):
        assert "line 2: tokens_in is not a whole number" in str(found.metadata["why"].value)


def test_an_unknown_price_is_an_alert(attempt: Callable[..., CallAttemptRow]) -> None:
    assert attempt("gpt-9").cost_micro_usd is None
    found = checked()["costs_are_known"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "SIGMA\\_PRICE\\_FILE" in str(found.metadata["models"].value)
