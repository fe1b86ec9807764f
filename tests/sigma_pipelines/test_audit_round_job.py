"""The job ``audit_round`` on one submission: seven materialisations, three checks, a new round each time, a resumed one on retry."""

from __future__ import annotations

from typing import Any

import pytest
from audit_world import ROUND_STAGES, World, checks_of, failure_of, metadata_of

from sigma_core.lifecycle import panels
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.panels import open_run_key
from sigma_core.storage.protocol import AccuracyEntryRow, CertificateRow, ReputationEntryRow, RoundRow, SeatRow
from sigma_pipelines.materialisation import RESUMES_TAG


@pytest.fixture(scope="module")
def audited(world: World) -> tuple[str, Any]:
    """An honest submission, audited once."""
    submission_id = world.submit()
    return submission_id, world.audit(submission_id)


def test_an_honest_package_goes_through_seven_assets_and_six_blocking_checks(world: World, audited: Any) -> None:
    submission_id, result = audited
    assert result.success
    assert world.stages_of(submission_id, result.run_id) == list(ROUND_STAGES)
    assert checks_of(result) == dict.fromkeys(
        ("facts_complete", "quorum", "diversity", "grounding", "canary", "certificate_verifies"), True
    )
    assert all(check.blocking for check in result.get_asset_check_evaluations())


def test_each_materialisation_tells_an_operator_what_it_did(world: World, audited: Any) -> None:
    submission_id, _ = audited
    told = {stage: metadata_of(world.materialisation(stage, submission_id)) for stage in ROUND_STAGES}
    assert told["submission_package"]["name"] == "changelog-writer"
    assert told["submission_package"]["files"] == 2
    assert "scripts/group\\_commits.py" in told["submission_package"]["members"]
    assert told["sandbox_facts"]["coverage_complete"]
    assert told["sandbox_facts"]["security_level"] == "CLEAR"
    for phase, stage in ((1, "phase_one_verdicts"), (2, "phase_two_verdicts")):
        assert told[stage]["phase"] == phase
        assert told[stage]["round"] == 1
        assert told[stage]["safe"] == 5
        assert told[stage]["calls"] == len(world.rows(SeatRow, phase=phase, round_id=_round(world, 1)))
        assert (told[stage]["cost_micro_usd"], told[stage]["calls_of_unknown_cost"]) == (0, 0)
        assert 1 <= told[stage]["effective_votes"] <= 5
        assert told[stage]["seats"].count("\n") == 1 + len(world.rows(SeatRow, phase=phase, round_id=_round(world, 1)))
    assert told["third_panel_verdicts"] == {"convened": False, "why": "the policy has no third panel"}
    assert told["round_outcome"]["outcome"] == "APPROVED"
    assert "ALL\\_SAFE" in told["round_outcome"]["reasons"]
    assert told["certificate"]["issued"]
    [certificate] = world.rows(CertificateRow, round_id=told["round_outcome"]["round_id"])
    assert told["certificate"]["payload_hash"] == certificate["payload_hash"]


def _round(world: World, number: int) -> str:
    """The round of this number of the first submission."""
    return str(world.rows(RoundRow, number=number)[0]["id"])


def test_a_hostile_package_has_the_same_chain_and_the_record_that_no_certificate_was_issued(world: World) -> None:
    submission_id = world.submit(example="malicious/workspace-cleaner")
    result = world.audit(submission_id)
    assert result.success
    assert all(checks_of(result).values())
    told = metadata_of(world.materialisation("round_outcome", submission_id))
    # Which of the two depends on the panels that were drawn; a certificate is out of reach in both.
    assert told["outcome"] in ("REJECTED", "ESCALATED")
    assert told["with_rejection"] == (told["outcome"] == "ESCALATED")
    assert metadata_of(world.materialisation("certificate", submission_id)) == {"issued": False}
    assert world.rows(CertificateRow, submission_id=submission_id) == []


def test_running_it_again_makes_round_2_and_leaves_round_1_as_it_was(world: World, audited: Any) -> None:
    submission_id, _ = audited
    book_known_truths(world.deployment)
    [first] = world.rows(RoundRow, submission_id=submission_id)

    def kept() -> dict[str, Any]:
        tables = (SeatRow, AccuracyEntryRow, ReputationEntryRow, CertificateRow)
        rows = {table.__tablename__: world.rows(table, round_id=first["id"]) for table in tables}
        return {**rows, "round": world.rows(RoundRow, id=first["id"])}

    before = kept()
    assert {name for name, rows in before.items() if rows} == {"round", "seats", "accuracy_ledger", "certificates"} | (
        {"reputation_ledger"} if before["reputation_ledger"] else set()
    )
    result = world.audit(submission_id)
    assert result.success
    book_known_truths(world.deployment)

    assert kept() == before
    second = world.rows(RoundRow, submission_id=submission_id)[1]
    assert (second["number"], second["round_type"], second["trigger_source"]) == (2, "RE_AUDIT", "OPERATOR")
    assert second["beacon_round"] > first["beacon_round"]
    assert second["seed"] != first["seed"]
    assert metadata_of(world.materialisation("certificate", submission_id))["issued"]
    assert [row["round_id"] for row in world.rows(CertificateRow, submission_id=submission_id)] == [
        first["id"],
        second["id"],
    ]


def test_a_run_that_died_between_the_panels_is_resumed_without_a_second_first_panel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission_id = world.submit()
    run_phase = panels.run_phase

    def dies_before_phase_two(deployment: Any, round_id: str, phase: int, **rest: Any) -> Any:
        if phase == 2:
            raise RuntimeError("the power went off")
        return run_phase(deployment, round_id, phase, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(panels, "run_phase", dies_before_phase_two)
        died = world.audit(submission_id)
    assert failure_of(died)[0] == "phase_two_verdicts"
    [opened] = world.rows(RoundRow, submission_id=submission_id)
    assert opened["state"] == "PHASE_1"
    first_panel = world.rows(SeatRow, round_id=opened["id"], phase=1)
    assert len(first_panel) >= 5

    run_key = open_run_key(world.deployment, submission_id)
    assert run_key == died.run_id
    resumed = world.audit(submission_id, **{RESUMES_TAG: run_key})
    assert resumed.success
    [decided] = world.rows(RoundRow, submission_id=submission_id)
    assert (decided["id"], decided["state"], decided["seed"]) == (opened["id"], "DECIDED", opened["seed"])
    assert world.rows(SeatRow, round_id=opened["id"], phase=1) == first_panel


def test_re_executing_a_run_whose_round_is_decided_opens_the_next_one(world: World) -> None:
    submission_id = world.submit()
    first = world.audit(submission_id)
    [decided] = world.rows(RoundRow, submission_id=submission_id)
    assert world.audit(submission_id, **{RESUMES_TAG: first.run_id}).success
    rounds = world.rows(RoundRow, submission_id=submission_id)
    assert rounds[0] == decided
    assert [row["number"] for row in rounds] == [1, 2]


def test_a_submission_that_nobody_made_fails_with_its_id(world: World) -> None:
    world.instance.add_dynamic_partitions("submission", ["sub_nobody"])
    assert failure_of(world.audit("sub_nobody")) == (
        "submission_package",
        "no submission has the id 'sub_nobody'",
    )
