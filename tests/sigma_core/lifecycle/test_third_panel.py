"""The third panel of a round: convened by a single dissent where the policy has one, unanimous or nothing, and the truth then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from assembly_steps import opened, say, seats_of
from sqlalchemy import select

from sigma_core.audit.model import Verdict
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import outcome
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.invariants import certificate_verifies, latest_round, outcome_has_its_quorum
from sigma_core.lifecycle.outcome import convene_third_panel, decide_round
from sigma_core.lifecycle.panels import PanelRecord, RoundNotReady, run_phase
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.storage.protocol import AccuracyEntryRow, RoundRow
from sigma_core.submissions.package import Package

Submitted = Callable[..., str]
S, U, A = Verdict.SAFE, Verdict.UNSAFE, Verdict.ABSTAIN


@pytest.fixture
def with_third_panel(deployment: Deployment, make_deployment: Callable[..., Deployment], tmp_path: Path) -> Deployment:
    policy = tmp_path / "policy.toml"
    text = deployment.settings.policy_file.read_text()
    policy.write_text(text.replace("third_panel = false", "third_panel = true"))
    return make_deployment(policy_file=str(policy))


def voted(
    deployment: Deployment, submission: str, patch: pytest.MonkeyPatch, third: Verdict, *, last: Verdict | None = None
) -> str:
    """Two panels with one dissent in the second, and what the third would say; ``last`` is its last seat's word."""

    def says(phase: int, seat: int) -> Verdict:
        if phase == 3:
            return last if last is not None and seat == 5 else third
        return U if (phase, seat) == (2, 3) else S

    say(patch, says)
    round_id = opened(deployment, submission)
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    return round_id


def decided(deployment: Deployment, round_id: str) -> RoundRow:
    row = decide_round(deployment, round_id)
    assert replay_kept_round(deployment, round_id).differences == ()
    return row


@pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
def test_a_unanimous_third_panel_resolves_a_single_dissent_certifies_and_scores_every_vote(
    with_third_panel: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = with_third_panel
    submission = submitted(honest)
    round_id = voted(deployment, submission, monkeypatch, S)
    held = convene_third_panel(deployment, round_id)
    assert isinstance(held, PanelRecord)
    assert len(held.seats) == 5
    before = [seat for phase in (1, 2) for seat in seats_of(deployment, round_id, phase)]
    assert not {seat.operator for seat in held.seats} & {seat.operator for seat in before}
    row = decided(deployment, round_id)
    assert (row.outcome, row.truth, row.truth_source) == ("APPROVED", "SAFE", "THIRD_PANEL")
    certificate = issue_certificate(deployment, round_id)
    assert certificate is not None
    bundle = deployment.blobs.get(certificate.bundle_sha256)
    verified = verify_bundle(bundle, deployment.trusted_keys, at=certificate.issued_at, package=honest)
    assert verified.payload.hash == certificate.payload_hash
    outcome_has_its_quorum(deployment, latest_round(deployment, submission))
    certificate_verifies(deployment, submission)
    book_known_truths(deployment)
    assert replay_kept_round(deployment, round_id).differences == ()
    with deployment.read_sessions() as session:
        lines = session.scalars(select(AccuracyEntryRow).where(AccuracyEntryRow.round_id == round_id)).all()
    assert {line.truth_source for line in lines} == {"THIRD_PANEL"}
    assert sorted(line.reason for line in lines) == [*["ALIGNED"] * 14, "MISALIGNED"]
    assert [line.seat for line in lines if line.reason == "MISALIGNED"] == ["2.3"]


@pytest.mark.parametrize(
    ("third", "last", "expected"),
    [
        (U, None, ("REJECTED", "UNSAFE", "THIRD_PANEL", "THIRD_PANEL_UNSAFE")),
        (S, U, ("ESCALATED", None, None, "THIRD_PANEL_SPLIT")),
        (U, S, ("ESCALATED", None, None, "THIRD_PANEL_SPLIT")),
    ],
)
def test_a_third_panel_that_says_unsafe_rejects_and_one_that_is_split_escalates(
    with_third_panel: Deployment,
    honest: Package,
    submitted: Submitted,
    monkeypatch: pytest.MonkeyPatch,
    third: Verdict,
    last: Verdict | None,
    expected: tuple[object, ...],
) -> None:
    round_id = voted(with_third_panel, submitted(honest), monkeypatch, third, last=last)
    convene_third_panel(with_third_panel, round_id)
    row = decided(with_third_panel, round_id)
    assert (row.outcome, row.truth, row.truth_source, row.reasons[-1]["code"]) == expected
    assert issue_certificate(with_third_panel, round_id) is None


def test_none_is_convened_by_a_policy_without_one_and_the_round_escalates(
    deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_id = voted(deployment, submitted(honest), monkeypatch, S)
    assert convene_third_panel(deployment, round_id) == "the policy has no third panel"
    assert (decided(deployment, round_id).outcome, seats_of(deployment, round_id, 3)) == ("ESCALATED", [])


def test_none_is_convened_where_nobody_dissents_or_before_both_panels_have_voted(
    with_third_panel: Deployment, honest: Package, submitted: Submitted
) -> None:
    round_id = opened(with_third_panel, submitted(honest))
    run_phase(with_third_panel, round_id, 1)
    run_phase(with_third_panel, round_id, 2)
    assert convene_third_panel(with_third_panel, round_id) == "no single dissent to resolve"
    assert decided(with_third_panel, round_id).outcome == "APPROVED"
    with pytest.raises(RoundNotReady, match="phase 3 follows phase 2"):
        run_phase(with_third_panel, opened(with_third_panel, submitted(honest)), 3)


def test_a_pool_with_nobody_left_convenes_none_and_the_round_escalates(
    with_third_panel: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sigma_core.assembly.selection import PoolTooSmallError

    def too_small(*_: object, **__: object) -> None:
        raise PoolTooSmallError("phase 3: 2 of 5 seats can be filled")

    round_id = voted(with_third_panel, submitted(honest), monkeypatch, S)
    monkeypatch.setattr(outcome, "run_phase", too_small)
    assert convene_third_panel(with_third_panel, round_id) == "phase 3: 2 of 5 seats can be filled"
    row = decided(with_third_panel, round_id)
    assert (row.outcome, [reason["code"] for reason in row.reasons]) == ("ESCALATED", ["SPLIT_VOTE"])
