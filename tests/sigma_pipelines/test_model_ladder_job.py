"""The ladder job on real Dagster: measured on a folder of labelled packages, and idle without a key."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.storage.protocol import ModelMeasurementRow
from sigma_pipelines.resources.deployment import SigmaDeployment
from tests.scripted_models import error, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES / "changelog-writer", tmp_path / "bank" / "benign" / "one")
    shutil.copytree(EXAMPLES / "malicious" / "workspace-cleaner", tmp_path / "bank" / "malicious" / "two")
    return tmp_path / "bank"


@pytest.fixture(autouse=True)
def _closed_after(deployment: Deployment) -> Iterator[None]:
    """The job's deployment outlives its run; its connections to the models must not outlive the test."""
    yield
    SigmaDeployment().open().close()


def run(bank: Path | None = None, **config: int) -> dg.ExecuteInProcessResult:
    from sigma_pipelines.definitions import defs

    return defs.resolve_job_def("model_ladder").execute_in_process(
        run_config={"ops": {"measure_and_sync": {"config": {"folder": str(bank or ""), **config}}}},
        raise_on_error=False,
    )


def measured(deployment: Deployment) -> list[tuple[str, int, int]]:
    with deployment.read_sessions() as session:
        rows = session.scalars(select(ModelMeasurementRow).order_by(ModelMeasurementRow.id))
        return [(row.model, row.malicious, row.benign) for row in rows]


def test_every_model_with_a_key_is_measured(
    deployment: Deployment, make_deployment: Callable[..., Deployment], bank: Path
) -> None:
    with serving() as models:
        opened = make_deployment(openai_api_key="sk-1", openai_base_url=models.url)
        assert run(bank).success
    assert measured(opened) == [("gpt-4o-mini", 2, 2), ("gpt-5", 2, 2)]


def test_without_a_key_nothing_is_measured_and_nothing_changes(deployment: Deployment, bank: Path) -> None:
    assert run(bank, canary_variants=1).success
    assert measured(deployment) == []


def test_a_model_that_cannot_be_asked_fails_the_run_by_name_and_what_was_measured_counts(
    deployment: Deployment, make_deployment: Callable[..., Deployment], bank: Path
) -> None:
    with serving() as models:
        models.play(error(404), model="gpt-5")
        opened = make_deployment(openai_api_key="sk-1", openai_base_url=models.url)
        result = run(bank)
        assert not result.success
        (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
        assert "openai/gpt-5: openai did not answer: http_404, there is no model gpt-5" in str(
            failure.event_specific_data
        )
        assert measured(opened) == [("gpt-4o-mini", 2, 2)]
        assert run(bank).success
    assert measured(opened) == [("gpt-4o-mini", 2, 2), ("gpt-5", 2, 2)]


def test_every_day_the_ladder_is_held_against_the_canary_bank() -> None:
    from sigma_pipelines.definitions import defs

    schedule = defs.resolve_schedule_def("daily_ladder")
    (request,) = schedule.evaluate_tick(dg.build_schedule_context()).run_requests or []
    assert request.run_config["ops"]["measure_and_sync"]["config"] == {"canary_variants": 1}
    job = defs.resolve_job_def("model_ladder")
    assert dg.validate_run_config(job, request.run_config)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_folder_without_labels_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    result = run(tmp_path)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "a bank has the folders malicious and benign" in str(failure.event_specific_data)
