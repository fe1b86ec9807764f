"""Appeals: 2n + 1 seats a panel, nobody of the appealed round, and a replay that holds both against the document."""

from __future__ import annotations

import copy

import pytest
from assembly_world import BEACON, CALIBRATION, TREE_HASH, facts, hold_phase, hold_round, rows_of, verdict
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.appeal import Appeal, appeal_rules
from sigma_core.assembly.beacon import BeaconValue
from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.consensus import RoundOutcome, Vote, decide
from sigma_core.assembly.replay import replay
from sigma_core.assembly.replay_document import replay_document
from sigma_core.assembly.round import Round, SealedSubmission, conclude
from sigma_core.assembly.selection import Pool
from sigma_core.assembly.weights import WeightsSnapshot
from sigma_core.audit.canaries.bank import bank_sha256
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_of
from sigma_core.policy import load_policy

RULES = load_policy().assembly


def appealed() -> tuple[Round, dict[str, object]]:
    """A round of five seats a panel, and the appeal of it, held and published."""
    policy = load_policy()
    first = hold_round(lambda phase, seat: Verdict.UNSAFE)
    operators = [seat.operator for record in first.phases for seat in record.panel.seats]
    appeal = Appeal.of(first.round.id, RULES.seats_per_phase, operators)
    snapshot = WeightsSnapshot.of(3, policy.hash, rows_of(policy))
    value = BEACON.value(7)
    assert isinstance(value, BeaconValue)
    sealed = SealedSubmission("sub_1", TREE_HASH, tuple(sorted({"somebody", *operators})), BEACON.chain_id, 7)
    held = Round.opened(
        "rnd_1_r2",
        sealed,
        policy.assembly,
        snapshot=snapshot,
        pool=Pool.of(snapshot, policy.assembly),
        beacon=value,
        appeal=appeal,
    )
    phases = []
    for phase in (1, 2):
        earlier = [record.panel for record in phases]
        phases.append(
            hold_phase(held, phase, earlier, lambda _, numbers: dict.fromkeys(numbers, verdict(Verdict.SAFE)), b"salt")
        )
    outcome = conclude(held.rules, phases, facts())
    assert outcome.outcome is RoundOutcome.APPROVED
    document = replay_document(
        held,
        phases,
        policy=policy.model_dump(mode="json"),
        chain=BEACON.chain,
        facts=facts(),
        canary=CanaryRecord(bank_sha256()),
        outcome=outcome,
        calibration=CALIBRATION,
    )
    assert [len(record.panel.standing) for record in phases] == [11, 11]
    assert not {seat.operator for record in phases for seat in record.panel.seats} & set(operators)
    return held, document


def test_an_appeal_of_five_seats_draws_eleven_and_counts_as_large() -> None:
    rules = appeal_rules(RULES, 5)
    assert (rules.seats_per_phase, rules.quorum_per_phase, rules.max_seats_per_family) == (11, 9, 4)
    assert (rules.unsafe_votes_to_reject, rules.third_panel_seats) == (18, 11)
    assert appeal_rules(RULES, 11).seats_per_phase == 23


@given(st.integers(1, 5_000))
def test_larger_panels_never_ask_for_less_and_never_leave_a_family_more(seats: int) -> None:
    rules = appeal_rules(RULES, seats)
    size = rules.seats_per_phase
    assert RULES.quorum_per_phase * size <= rules.quorum_per_phase * RULES.seats_per_phase
    assert RULES.unsafe_votes_to_reject * size <= rules.unsafe_votes_to_reject * RULES.seats_per_phase
    assert rules.max_seats_per_family * RULES.seats_per_phase <= max(
        RULES.max_seats_per_family * size, RULES.seats_per_phase
    )
    assert rules.quorum_per_phase <= size < rules.unsafe_votes_to_reject <= 2 * size


def test_ten_safe_votes_and_one_against_do_not_win_an_appeal() -> None:
    votes = [Vote.SAFE] * 10 + [Vote.UNSAFE]
    outcome = decide(votes, [Vote.SAFE] * 11, signals=(), coverage_complete=True, rules=appeal_rules(RULES, 5))
    assert outcome.outcome is RoundOutcome.ESCALATED


def test_an_appeal_replays_with_the_rules_of_its_panels() -> None:
    _, document = appealed()
    report = replay(document)
    assert report.agrees
    assert [line.split(": ")[0] for line in report.unchecked] == ["$.appeal"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda document: document["appeal"].update(seatsPerPhase=4), "$.phases[0].seats"),
        (lambda document: document["appeal"]["formerOperators"].append("op_x"), "$.appeal.formerOperators"),
        (lambda document: document.update(appeal=None), "$.phases[0].seats"),
    ],
)
def test_an_appeal_whose_panel_or_former_members_do_not_fit_is_named(change, path: str) -> None:  # type: ignore[no-untyped-def]
    document = copy.deepcopy(appealed()[1])
    change(document)
    assert path in [found.path for found in replay(document).disagreements]


def test_former_members_are_under_the_submission_hash_so_that_leaving_one_out_draws_others() -> None:
    held, document = appealed()
    forged = copy.deepcopy(document)
    left_out = forged["appeal"]["formerOperators"].pop()  # type: ignore[index]
    forged["submission"]["conflicts"].remove(left_out)  # type: ignore[index]
    forged["submissionHash"] = sha256_of(forged["submission"])
    assert "$.seed" in [found.path for found in replay(forged).disagreements]
    assert held.submission.hash != forged["submissionHash"]
