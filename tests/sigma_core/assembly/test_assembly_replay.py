"""A whole round, its public document, and the replay that names whatever was changed in it."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from assembly_world import (
    BEACON,
    CALIBRATION,
    HeldRound,
    facts,
    hold_phase,
    hold_round,
    rows_of,
    verdict,
    with_files_planted,
    with_rules,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.commit_reveal import (
    PhaseClosed,
    Removed,
    Revealed,
    RevealsClosed,
    SeatStatus,
    derived_salt,
)
from sigma_core.assembly.consensus import Outcome, RoundOutcome, TruthSource, Vote
from sigma_core.assembly.drand import QUICKNET
from sigma_core.assembly.replay import replay
from sigma_core.assembly.replay_document import ReplayDocument, replay_document
from sigma_core.assembly.round import (
    ClosedBy,
    OpenPhase,
    PhaseRecord,
    Round,
    SealedSubmission,
    cast,
    conclude,
    open_phase,
    redraw_vacancies,
    view_of,
)
from sigma_core.assembly.selection import Pool, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.canaries.bank import bank_sha256
from sigma_core.audit.model import Verdict, View
from sigma_core.canonical import canonical_json
from sigma_core.errors import SigmaError
from sigma_core.policy import load_policy

SIGNAL = {"kind": "STRONG_INJECTION", "ruleId": "R7", "reason": "hidden order", "file": "SKILL.md", "line": 9}


def all_safe(phase: int, seat: int) -> Verdict:
    return Verdict.SAFE


def eventful(phase: int, seat: int) -> Verdict | None:
    """Seat 2 of phase 1 abstains openly, and so does its replacement; seat 4 stays away; phase 2 has one dissent."""
    if phase == 1:
        return {2: Verdict.ABSTAIN, 4: None, 6: Verdict.ABSTAIN}.get(seat, Verdict.SAFE)
    return Verdict.UNSAFE if phase == 2 and seat == 3 else Verdict.SAFE


DOCUMENT = hold_round(eventful).document


# A whole round


def test_an_honest_round_is_approved_and_its_replay_agrees() -> None:
    held = hold_round(all_safe)
    assert held.outcome.outcome is RoundOutcome.APPROVED
    report = replay(held.document)
    assert report.agrees
    assert report.unchecked == ()


def test_the_document_survives_the_wire() -> None:
    held = hold_round(eventful)
    assert replay(json.loads(canonical_json(held.document))).agrees


def test_seats_given_up_before_the_phase_closes_are_redrawn_and_no_others() -> None:
    held = hold_round(eventful)
    first = held.phases[0]
    assert [(s.number, s.replaces) for s in first.panel.seats[5:]] == [(6, 2), (7, 4), (8, 6)]
    assert first.votes == [Vote.SAFE] * 5
    assert [s.number for s in first.panel.standing] == [1, 3, 5, 7, 8]
    assert replay(held.document).agrees


def test_when_all_stay_away_the_round_escalates_and_replays() -> None:
    held = hold_round(lambda phase, seat: None)
    assert held.outcome.outcome is RoundOutcome.ESCALATED
    assert [reason.code for reason in held.outcome.reasons] == ["QUORUM_MISSED"]
    # Five seats and two replacements for each.
    assert len(held.phases[0].panel.seats) == 15
    assert replay(held.document).agrees


def test_a_third_panel_resolves_a_single_dissent_and_replays() -> None:
    held = hold_round(eventful, policy=with_rules(third_panel=True), third_panel=True)
    assert (held.outcome.outcome, held.outcome.truth_source) == (RoundOutcome.APPROVED, TruthSource.THIRD_PANEL)
    operators = [seat.operator for record in held.phases for seat in record.panel.seats]
    assert len(operators) == len(set(operators))
    assert replay(held.document).agrees


def test_a_document_from_before_redraws_were_kept_replays_by_its_vacancies() -> None:
    document = hold_round(eventful).document
    assert document["phases"][0]["redraws"] == [[2, 4], [6]]
    for phase in document["phases"]:
        del phase["redraws"], phase["closedBy"]
    del document["appeal"]
    assert replay(document).agrees


def taken_off(number: int, by: ClosedBy) -> dict[str, Any]:
    """A round in whose first phase seat 3 abstained and was redrawn, and then a seat that had committed was taken from its
    holder: redrawn too, or not because the deadline had passed."""
    held = hold_round(all_safe).round
    phase = open_phase(held, 1, [])
    holders = [seat.validator_id for seat in phase.panel.seats]

    def voted(phase: OpenPhase) -> OpenPhase:
        for at in phase.pending:
            phase = phase.after(cast(phase, at, verdict(Verdict.ABSTAIN if at == 3 else Verdict.SAFE), b"salt"))
        return phase

    phase = voted(redraw_vacancies(held, voted(phase), [])).after(Removed(number, holders[number - 1]))
    if by is ClosedBy.COMPLETE:
        phase = voted(redraw_vacancies(held, phase, []))
    phase = phase.after(PhaseClosed())
    for at, vote in phase.ballot.votes.items():
        if vote.status is SeatStatus.COMMITTED:
            salt = derived_salt(b"salt", held.id, 1, at, vote.validator_id)
            phase = phase.after(Revealed(at, vote.validator_id, verdict(Verdict.SAFE).as_json(), salt))
    first = PhaseRecord(phase.panel, phase.after(RevealsClosed()).ballot, phase.redraws, by)
    second = hold_phase(
        held, 2, [phase.panel], lambda _, numbers: dict.fromkeys(numbers, verdict(Verdict.SAFE)), b"salt"
    )
    return replay_document(
        held,
        [first, second],
        policy=load_policy().model_dump(mode="json"),
        chain=BEACON.chain,
        facts=facts(),
        canary=CanaryRecord(bank_sha256()),
        outcome=conclude(held.rules, [first, second], facts()),
        calibration=CALIBRATION,
    )


def test_a_seat_that_was_taken_off_later_than_another_was_redrawn_replays_in_that_order() -> None:
    document = taken_off(1, ClosedBy.COMPLETE)
    assert document["phases"][0]["redraws"] == [[3], [1]]
    assert document["outcome"]["outcome"] == "APPROVED"
    assert replay(document).agrees
    document["phases"][0]["redraws"] = [[1], [3]]
    assert not replay(document).agrees
    document["phases"][0]["redraws"] = [[1, 3]]
    assert not replay(document).agrees


def test_a_phase_that_its_deadline_closed_redraws_nobody_and_says_that_only_a_clock_knows() -> None:
    document = taken_off(1, ClosedBy.DEADLINE)
    report = replay(document)
    assert report.agrees
    assert "$.phases[0].closedBy: only a clock tells whether the deadline had passed" in report.unchecked
    document["phases"][0]["closedBy"] = "COMPLETE"
    assert [found.path for found in replay(document).disagreements] == ["$.phases[0].redraws"]


@pytest.mark.parametrize("redraws", [[[2]], [[2, 4], [6], [6]], [[4, 2], [6]], [[2, 4], [99]], [[]]])
def test_a_redraw_of_a_seat_that_stands_or_is_none_is_named(redraws: list[list[int]]) -> None:
    document = hold_round(eventful).document
    document["phases"][0]["redraws"] = redraws
    assert any(found.path.startswith("$.phases[0].redraws") for found in replay(document).disagreements)


def test_a_round_with_a_signal_or_incomplete_facts_is_not_approved_and_replays() -> None:
    for document in (facts(SIGNAL), facts(complete=False)):
        held = hold_round(all_safe, facts_document=document)
        assert held.outcome.outcome is RoundOutcome.ESCALATED
        assert replay(held.document).agrees


def test_a_phase_that_was_not_held_is_said_and_proved_where_the_pool_had_nobody_left() -> None:
    given_up = copy.deepcopy(DOCUMENT)
    given_up["phases"].pop()
    assert any(line.startswith("$.phases: phase 2 was not held") for line in replay(given_up).unchecked)
    no_third = hold_round(eventful, policy=with_rules(third_panel=True)).document
    assert no_third["outcome"]["thirdPanelEligible"]
    report = replay(no_third)
    assert report.agrees
    assert any(line.startswith("$.phases: phase 3 was not held") for line in report.unchecked)
    nobody_left = hold_round(eventful, policy=with_rules(third_panel=True, third_panel_seats=200)).document
    report = replay(nobody_left)
    assert report.agrees
    assert not any(line.startswith("$.phases: ") for line in report.unchecked)


# Overrides


def override(number: int, outcome: str, day: int = 1) -> dict[str, Any]:
    at = f"2026-11-{day:02}T08:00:00.000Z"
    return {"number": number, "outcome": outcome, "actor": "operator:ada", "reason": "read it", "overriddenAt": at}


def test_overrides_of_a_split_vote_agree_and_are_said_to_follow_from_nothing() -> None:
    document = DOCUMENT | {
        "overrides": [override(1, "REJECTED"), override(2, "APPROVED", 2), override(3, "REJECTED", 2)]
    }
    report = replay(document)
    assert report.agrees
    assert any(line.startswith("$.overrides: ") for line in report.unchecked)


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        ([override(2, "REJECTED")], "$.overrides[0].number"),
        ([override(1, "REJECTED"), override(2, "REJECTED")], "$.overrides[1].outcome"),
        ([override(1, "REJECTED", 2), override(2, "APPROVED", 1)], "$.overrides"),
        ([override(1, "REJECTED") | {"actor": ""}], "$.overrides[0].actor"),
        ([override(1, "REJECTED") | {"overriddenAt": "yesterday"}], "$.overrides[0].overriddenAt"),
        ([override(1, "ESCALATED")], "$.overrides[0].outcome"),
    ],
)
def test_overrides_that_cannot_have_been_are_named(overrides: list[dict[str, Any]], path: str) -> None:
    assert [found.path for found in replay(DOCUMENT | {"overrides": overrides}).disagreements] == [path]


def test_no_override_approves_over_a_risk_signal_a_missing_fact_a_missed_quorum_or_anything_but_an_escalation() -> None:
    for held in (
        hold_round(eventful, facts_document=facts(SIGNAL)),
        hold_round(eventful, facts_document=facts(complete=False)),
        hold_round(lambda phase, seat: None),
        hold_round(lambda phase, seat: Verdict.UNSAFE),
        hold_round(all_safe),
    ):
        report = replay(held.document | {"overrides": [override(1, "APPROVED")]})
        assert [found.path for found in report.disagreements] == ["$.overrides[0].outcome"]


# The published epoch


def test_weights_are_recomputed_by_the_function_that_knows_their_epoch() -> None:
    def of_the_epoch() -> Any:
        weights = copy.deepcopy(DOCUMENT["weights"])
        weights["rows"][4]["weight"] += 1
        return weights

    def of_another() -> Any:
        raise SigmaError("weights epoch 3: its Merkle root is not that of its rows")

    assert replay(DOCUMENT, weights=lambda: DOCUMENT["weights"]).agrees
    [found] = replay(DOCUMENT, weights=of_the_epoch).disagreements
    assert (found.path, found.inputs) == ("$.weights.rows[4].weight", ("$.weights.epoch",))
    [found] = replay(DOCUMENT, weights=of_another).disagreements
    assert (found.path, "Merkle root" in found.rule) == ("$.weights", True)


def test_a_second_round_draws_other_panels() -> None:
    one, two = (hold_round(all_safe, number=number) for number in (1, 2))
    assert one.round.seed != two.round.seed
    assert one.phases[0].panel != two.phases[0].panel


def test_phase_one_sees_everything_and_the_others_no_claims() -> None:
    assert [view_of(phase) for phase in (1, 2, 3)] == [View.FULL, View.CLAIMS_STRIPPED, View.CLAIMS_STRIPPED]


def test_a_round_opens_only_on_the_beacon_round_that_was_bound_at_submission() -> None:
    policy = load_policy()
    snapshot = WeightsSnapshot.of(1, policy.hash, rows_of(policy))
    submission = SealedSubmission("sub_1", "ab" * 32, (), BEACON.chain_id, 6)
    value = BEACON.value(7)
    assert isinstance(value, BeaconValue)
    with pytest.raises(BeaconError, match="bound to beacon round 6"):
        Round.opened(
            "rnd_1_r1",
            submission,
            policy.assembly,
            snapshot=snapshot,
            pool=Pool.of(snapshot, policy.assembly),
            beacon=value,
        )


# Tampering


def leaves(value: Any, path: str = "$") -> Iterator[tuple[str, list[Any]]]:
    """(path, keys) of every leaf of a JSON document; an empty list or object is a leaf."""
    steps: Any = ()
    if isinstance(value, Mapping) and value:
        steps = [(f"{path}.{key}", key, item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        steps = [(f"{path}[{index}]", index, item) for index, item in enumerate(value)]
    else:
        yield path, []
    for at, key, item in steps:
        for found, keys in leaves(item, at):
            yield found, [key, *keys]


OTHER = {
    "REVEALED": "NO_SHOW",
    "NO_SHOW": "ABSTAINED",
    "ABSTAINED": "NO_SHOW",
    "SAFE": "UNSAFE",
    "UNSAFE": "SAFE",
    "ESCALATED": "APPROVED",
    "DETERMINISTIC": "LANGUAGE_MODEL",
    "reuse_phase_one_families": "family_cap",
    "COMPLETE": "DEADLINE",
}
"""Words of a closed list become another one of it, so that shape alone cannot give them away."""


def tampered(value: Any) -> Any:
    """Another value of the same type and form; null and empty things become something."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and value in OTHER:
        return OTHER[value]
    if isinstance(value, str):
        if value and all(c in "0123456789abcdef" for c in value):
            return value[:-1] + ("0" if value[-1] != "0" else "1")
        return value + "x"
    return {"x": 1} if isinstance(value, Mapping) else ["x"] if isinstance(value, list) else "00" * 32


def with_leaf(document: dict[str, Any], keys: list[Any]) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    at: Any = changed
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = tampered(at[keys[-1]])
    return changed


def rich_round() -> HeldRound:
    """Every part of a document in use: redraws, a dissent, a signal, a missed canary, and a seat that never reveals."""
    held = hold_round(
        eventful,
        policy=with_files_planted(450_000, operators=12),
        facts_document=facts(SIGNAL),
        cites=lambda phase, seat: (phase, seat) != (2, 4),
        never_reveals=(2, 5),
    )
    assert held.document["canary"]["missedBy"] == [{"phase": 2, "seat": 4}]
    assert [seat["status"] for seat in held.document["phases"][1]["seats"]] == ["REVEALED"] * 4 + ["NO_SHOW"]
    return held


NOT_COVERED = {
    "$.phases[0].seats[1].status": "an open abstention and a no-show differ for the standing only",
    "$.phases[0].seats[3].status": "the same",
    "$.phases[0].seats[5].status": "the same",
    "$.phases[1].seats[4].commitment": "it was never opened",
}
"""What can be changed in `rich_round` without a replay noticing: all of it, and the replay says so."""


def names(report: Any, path: str) -> bool:
    """Whether a disagreement is at ``path``, or says that it was recomputed from ``path`` or a part that holds it."""
    return any(
        path == place or path.startswith((place + ".", place + "[")) or place.startswith((path + ".", path + "["))
        for found in report.disagreements
        for place in (found.path, *found.inputs)
    )


@pytest.mark.usefixtures("planting")
def test_every_tampered_leaf_is_named_or_is_on_the_short_list_of_what_is_not_covered() -> None:
    document = rich_round().document
    assert replay(document).agrees
    unnoticed, unnamed, count = [], [], 0
    for path, keys in leaves(document):
        report = replay(with_leaf(document, keys))
        count += 1
        if report.agrees:
            unnoticed.append(path)
        elif not names(report, path):
            unnamed.append(path)
    assert count > 350
    assert unnamed == []
    # Only who answered has an answer about a planted file, so that one of the abstentions is proved.
    assert [path for path in NOT_COVERED if path not in unnoticed] == ["$.phases[0].seats[3].status"]
    assert set(unnoticed) <= set(NOT_COVERED)


@pytest.mark.usefixtures("planting")
def test_what_is_not_covered_is_said_in_the_report() -> None:
    report = replay(rich_round().document)
    assert [line.split(": ")[0] for line in report.unchecked] == list(NOT_COVERED)


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize(
    ("keys", "path", "rule"),
    [
        (["weights", "rows", 2, "weight"], "$.weights.merkleRoot", "root of the tree"),
        (["policy", "assembly", "max_seats_per_family"], "$.policyHash", "SHA-256"),
        (["beacon", "value"], "$.beacon.value", "does not hash back"),
        (["beacon", "round"], "$.submission.beaconRound", "names the beacon round"),
        (["submission", "conflicts", 0], "$.submissionHash", "SHA-256"),
        (["seed"], "$.seed", "the seed covers"),
        (["phases", 0, "seats", 0, "ticketIndex"], "$.phases[0].seats[0].ticketIndex", "the lottery draws"),
        (["phases", 1, "seats", 0, "verdict", "reason"], "$.phases[1].seats[0].commitment", "commitment covers"),
        (["facts", "coverage", "complete"], "$.factsHash", "SHA-256"),
        (["facts", "package", "treeHash"], "$.facts.package.treeHash", "submitted tree"),
        (["outcome", "outcome"], "$.outcome.outcome", "consensus decides"),
        (["independence", "nEffPpm"], "$.independence.nEffPpm", "Kish"),
    ],
)
def test_a_disagreement_names_path_and_rule(keys: list[Any], path: str, rule: str) -> None:
    report = replay(with_leaf(rich_round().document, keys))
    assert any(found.path == path and rule in found.rule for found in report.disagreements)


def test_a_forger_who_repairs_the_hashes_still_has_other_seats() -> None:
    document = copy.deepcopy(hold_round(all_safe).document)
    row = document["weights"]["rows"][0]
    row["weight"] *= 50
    rows = [
        WeightRow(r["validatorId"], r["operator"], r["family"], r["weight"], r["reputationPpm"])
        for r in document["weights"]["rows"]
    ]
    root = WeightsSnapshot.of(3, document["policyHash"], rows).merkle_root
    document["weights"]["merkleRoot"] = root
    document["seed"] = selection_seed(
        document["roundId"], document["submissionHash"], root, document["beacon"]["value"]
    )
    assert any(found.path.startswith("$.phases[0].seats") for found in replay(document).disagreements)


def test_a_whole_forged_round_differs_from_what_was_published_elsewhere() -> None:
    real, forged = hold_round(all_safe).document, hold_round(all_safe, number=2).document
    assert replay(forged).agrees
    published = {"roundId": real["roundId"], "seed": real["seed"], "weights.merkleRoot": real["weights"]["merkleRoot"]}
    found = replay(forged, published=[published]).disagreements
    assert [d.path for d in found] == ["$.roundId", "$.seed"]
    assert found[0].rule == "published elsewhere"
    assert replay(real, published=[published]).agrees
    assert not replay(real, published=[{"no.such.thing": 1}]).agrees


def test_rows_in_another_order_are_named() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["weights"]["rows"].reverse()
    assert [(d.path, d.rule) for d in replay(document).disagreements] == [
        ("$.weights.rows", "rows are sorted by validator id")
    ]


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize(
    "missed",
    [[(2, 3)], [(1, 99)], [(2, 4), (1, 1)], [(1, 1), (1, 1)], []],
    ids=["UNSAFE", "nobody", "unsorted", "twice", "none"],
)
def test_a_missed_canary_names_each_safe_vote_once_in_order(missed: list[tuple[int, int]]) -> None:
    policy = with_files_planted(1_000_000)
    document = hold_round(eventful, policy=policy, cites=lambda phase, seat: (phase, seat) != (1, 1)).document
    assert document["canary"]["missedBy"] == [{"phase": 1, "seat": 1}]
    assert replay(document).agrees
    document["canary"]["missedBy"] = [{"phase": phase, "seat": seat} for phase, seat in missed]
    assert any(found.path.startswith("$.canary.missedBy") for found in replay(document).disagreements)


def test_an_approval_that_the_votes_do_not_carry_is_found_even_with_all_hashes_right() -> None:
    document = copy.deepcopy(hold_round(all_safe, facts_document=facts(SIGNAL)).document)
    document["outcome"] = hold_round(all_safe).outcome.as_json()
    paths = [found.path for found in replay(document).disagreements]
    assert "$.outcome.outcome" in paths


# Points and weights


def scored(document: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    if outcome.truth is None:
        raise SigmaError("nothing to score")
    return {"points": {seat["validatorId"]: 1_024 for seat in document["phases"][0]["seats"]}}


def test_the_standing_is_recomputed_by_the_function_that_knows_it() -> None:
    held = hold_round(all_safe)
    document = held.document | {"standing": scored(held.document, held.outcome)}
    assert replay(document, standing=scored).agrees
    assert replay(document).unchecked == ("$.standing: no function to recompute points and weights was given",)
    validator = held.phases[0].panel.seats[0].validator_id
    changed = copy.deepcopy(document)
    changed["standing"]["points"][validator] = 2_048
    found = replay(changed, standing=scored).disagreements
    assert [(d.path, d.stated, d.recomputed) for d in found] == [(f"$.standing.points.{validator}", 2_048, 1_024)]
    assert not replay(held.document, standing=scored).agrees
    escalated = hold_round(all_safe, facts_document=facts(SIGNAL)).document
    assert [d.rule for d in replay(escalated, standing=scored).disagreements] == ["nothing to score"]


# Documents of any shape


@pytest.mark.parametrize("document", [{}, {"schema": "sigma-replay-v1"}, {"schema": 1.5}, {"é": 1}])
def test_what_is_no_replay_document_is_a_disagreement(document: dict[str, Any]) -> None:
    assert not replay(document).agrees


def test_a_field_that_is_missing_or_too_many_is_named() -> None:
    document = hold_round(all_safe).document
    for key in document.keys() - {"appeal"}:  # which documents from before appeals do not have
        without = {k: v for k, v in document.items() if k != key}
        assert f"$.{key}" in [found.path for found in replay(without).disagreements]
    more = copy.deepcopy(document)
    more["phases"][0]["seats"][0]["extra"] = 1
    assert [found.path for found in replay(more).disagreements] == ["$.phases[0].seats[0].extra"]


def test_a_null_that_is_missing_or_added_is_named() -> None:
    for change in ({"truth": None}, {"added": None}):
        document = copy.deepcopy(DOCUMENT)
        key = next(iter(change))
        if key in document["outcome"]:
            del document["outcome"][key]
        else:
            document["outcome"] |= change
        assert [found.path for found in replay(document).disagreements] == [f"$.outcome.{key}"]


@pytest.mark.parametrize("status", ["REVEALED", "ABSTAINED", "NO_SHOW"])
@pytest.mark.parametrize("said", [{}, {"verdict": "NO_SHOW"}, {"verdict": 1}])
def test_a_verdict_document_that_says_nothing_is_no_vote(status: str, said: dict[str, Any]) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["phases"][1]["seats"][0] |= {"status": status, "verdict": said}
    assert any(d.path.startswith("$.phases[1].seats[0]") for d in replay(document).disagreements)


def test_a_seat_that_is_there_twice_is_not_counted_twice() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["phases"][1]["seats"].append(document["phases"][1]["seats"][0])
    assert "$.phases[1].seats" in [found.path for found in replay(document).disagreements]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([*OTHER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
PLACES = [keys[: size + 1] for _, keys in leaves(DOCUMENT) for size in range(len(keys))]


@settings(max_examples=150)
@given(st.sampled_from(PLACES), ANYTHING)
def test_anything_anywhere_is_a_disagreement_and_never_a_crash(keys: list[Any], value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    at: Any = document
    for key in keys[:-1]:
        at = at[key]
    same = at[keys[-1]] == value and type(at[keys[-1]]) is type(value)
    at[keys[-1]] = value
    report = replay(document)
    place = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    assert same or not report.agrees or any(line.startswith(place) for line in report.unchecked)


HUGE = 2**53 - 1


@pytest.mark.parametrize(
    ("part", "changes", "path"),
    [
        (["beacon"], {"round": HUGE}, "$.beacon.value"),
        (["policy", "assembly"], {"max_draw_attempts": HUGE}, "$.policy.assembly.max_draw_attempts"),
        (["policy", "assembly"], {"seats_per_phase": HUGE, "unsafe_votes_to_reject": HUGE + 1}, "$"),
        (["policy", "assembly"], {"seats_per_phase": 2**52, "unsafe_votes_to_reject": HUGE}, "$.phases[0].seats"),
        (["policy", "assembly"], {"abstain_redraws": HUGE}, "$.policyHash"),
    ],
)
def test_no_number_in_a_document_makes_a_replay_work_for_ever(
    part: list[str], changes: dict[str, int], path: str
) -> None:
    document = copy.deepcopy(DOCUMENT)
    at: Any = document
    for key in part:
        at = at[key]
    at |= changes
    assert path in [found.path for found in replay(document).disagreements]


def test_a_drand_beacon_is_checked_from_the_document_and_said_to_be_unchecked_without_py_ecc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = copy.deepcopy(hold_round(all_safe).document)
    signature = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
    document["beacon"] = {
        "chain": QUICKNET.as_json(),
        "round": 1000,
        "value": "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
        "proof": signature,
    }
    document["submission"] |= {"beaconChain": QUICKNET.id, "beaconRound": 1000}
    about_beacon = [d for d in replay(document).disagreements if "eacon" in d.path]
    assert about_beacon == []
    document["beacon"]["round"] = document["submission"]["beaconRound"] = 1001
    assert "$.beacon.value" in [d.path for d in replay(document).disagreements]
    monkeypatch.setitem(sys.modules, "py_ecc.bls.g2_primitives", None)
    assert any(line.startswith("$.beacon.proof: ") for line in replay(document).unchecked)


def test_the_shape_is_a_schema_that_can_be_published() -> None:
    schema = ReplayDocument.model_json_schema(by_alias=True)
    # Overrides come later, and a document as it is kept has none.
    assert set(schema["properties"]) == {*DOCUMENT, "overrides"}
