"""Sealed votes: nothing is known before the phase closes, nothing can be changed afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from assembly_world import verdict
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.commit_reveal import (
    Abstained,
    Ballot,
    BallotError,
    Committed,
    DeadlinePassed,
    Event,
    PanelSeated,
    PhaseClosed,
    Revealed,
    RevealsClosed,
    SeatStatus,
    Stage,
    apply,
    commitment,
    derived_salt,
)
from sigma_core.assembly.consensus import Vote
from sigma_core.assembly.selection import Panel, Seat
from sigma_core.audit.model import AuditResult, Verdict

SAFE, UNSAFE = verdict(Verdict.SAFE), verdict(Verdict.UNSAFE)
ROUND = "rnd_1_r1"


def panel(seats: int = 3) -> Panel:
    return Panel(1, tuple(Seat(1, n, f"val_{n}", f"op_{n}", "f", n) for n in range(1, seats + 1)))


def salt(seat: int, validator: str | None = None) -> str:
    return derived_salt(b"secret", ROUND, 1, seat, validator or f"val_{seat}")


def sealed(seat: int, result: AuditResult) -> Committed:
    validator = f"val_{seat}"
    digest = commitment(ROUND, 1, seat, validator, verdict_hash=result.sha256, salt=salt(seat))
    return Committed(seat, validator, digest)


def opened(seat: int, result: AuditResult) -> Revealed:
    return Revealed(seat, f"val_{seat}", result.as_json(), salt(seat))


def after(*events: Event) -> Ballot:
    ballot = apply(Ballot(ROUND, 1), PanelSeated(panel()))
    for event in events:
        ballot = apply(ballot, event)
    return ballot


def votes(ballot: Ballot) -> list[Vote]:
    return [ballot.votes[n].vote for n in sorted(ballot.votes)]


def test_committed_then_revealed_votes_count() -> None:
    ballot = after(
        sealed(1, SAFE), sealed(2, UNSAFE), Abstained(3, "val_3"),
        PhaseClosed(), opened(2, UNSAFE), opened(1, SAFE), RevealsClosed(),
    )  # fmt: skip
    assert votes(ballot) == [Vote.SAFE, Vote.UNSAFE, Vote.ABSTAIN]
    assert ballot.votes[2].verdict == UNSAFE.as_json()


def test_a_vote_says_nothing_before_it_is_revealed() -> None:
    ballot = after(sealed(1, SAFE), sealed(2, UNSAFE))
    assert votes(ballot) == [Vote.NO_SHOW] * 3
    assert all(held.verdict is None and held.salt is None for held in ballot.votes.values())
    # The same verdict sealed by two seats does not show as the same.
    assert sealed(1, SAFE).commitment != sealed(2, SAFE).commitment


def test_nothing_is_revealed_while_anybody_may_still_commit() -> None:
    with pytest.raises(BallotError, match="COMMITTING") as refused:
        after(sealed(1, SAFE), opened(1, SAFE))
    assert refused.value.code == "BALLOT_NOT_REVEALING"


def test_a_copied_commitment_cannot_be_opened_by_the_copier() -> None:
    copied = Committed(2, "val_2", sealed(1, UNSAFE).commitment)
    ballot = after(sealed(1, UNSAFE), copied, PhaseClosed(), opened(1, UNSAFE))
    # Now everything about seat 1 is public; the copier repeats it to the letter.
    ballot = apply(ballot, Revealed(2, "val_2", UNSAFE.as_json(), salt(1)))
    assert ballot.votes[2].status is SeatStatus.NO_SHOW
    assert ballot.votes[1].vote is Vote.UNSAFE


def test_a_copier_who_waits_for_the_reveals_is_too_late() -> None:
    with pytest.raises(BallotError, match="late") as refused:
        after(sealed(1, UNSAFE), PhaseClosed(), opened(1, UNSAFE), sealed(2, UNSAFE))
    assert refused.value.code == "BALLOT_NOT_COMMITTING"


def test_no_seat_is_added_and_nobody_abstains_after_the_phase_has_closed() -> None:
    for event in (PanelSeated(panel(4)), Abstained(2, "val_2"), DeadlinePassed(), PhaseClosed()):
        with pytest.raises(BallotError):
            after(sealed(1, SAFE), PhaseClosed(), event)


@pytest.mark.parametrize("second", [sealed(1, SAFE), sealed(1, UNSAFE), Abstained(1, "val_1")])
def test_a_seat_commits_or_abstains_once(second: Event) -> None:
    for first in (sealed(1, SAFE), Abstained(1, "val_1")):
        with pytest.raises(BallotError, match="each step is taken once") as refused:
            after(first, second)
        assert refused.value.code == "BALLOT_DUPLICATE"


@pytest.mark.parametrize(
    "reveal",
    [
        opened(1, UNSAFE),
        Revealed(1, "val_1", SAFE.as_json() | {"reason": "changed"}, salt(1)),
        Revealed(1, "val_1", SAFE.as_json(), salt(2)),
        Revealed(1, "val_1", SAFE.as_json(), ""),
        Revealed(1, "val_1", SAFE.as_json() | {"scorePpm": 0.5}, salt(1)),
        Revealed(1, "val_1", {}, salt(1)),
        Revealed(1, "val_1", {"verdict": ["SAFE"]}, salt(1)),
    ],
)
def test_a_reveal_that_does_not_match_is_a_no_show_for_good(reveal: Revealed) -> None:
    ballot = after(sealed(1, SAFE), PhaseClosed(), reveal)
    assert ballot.votes[1].status is SeatStatus.NO_SHOW
    assert ballot.votes[1].verdict is None
    with pytest.raises(BallotError, match="is NO_SHOW"):
        apply(ballot, opened(1, SAFE))


def test_a_commitment_to_something_that_is_no_verdict_does_not_open() -> None:
    document: dict[str, Any] = {"verdict": "PERFECTLY_SAFE"}
    from sigma_core.canonical import sha256_of

    digest = commitment(ROUND, 1, 1, "val_1", verdict_hash=sha256_of(document), salt=salt(1))
    ballot = after(Committed(1, "val_1", digest), PhaseClosed(), Revealed(1, "val_1", document, salt(1)))
    assert ballot.votes[1].status is SeatStatus.NO_SHOW


def test_a_commitment_without_a_whole_salt_does_not_open() -> None:
    digest = commitment(ROUND, 1, 1, "val_1", verdict_hash=SAFE.sha256, salt="")
    ballot = after(Committed(1, "val_1", digest), PhaseClosed(), Revealed(1, "val_1", SAFE.as_json(), ""))
    assert ballot.votes[1].status is SeatStatus.NO_SHOW


def test_who_stays_away_or_reveals_late_is_a_no_show() -> None:
    ballot = after(sealed(1, SAFE), PhaseClosed(), RevealsClosed())
    assert votes(ballot) == [Vote.NO_SHOW] * 3
    with pytest.raises(BallotError, match="CLOSED"):
        apply(ballot, opened(1, SAFE))


def test_only_a_seat_that_never_committed_is_vacant() -> None:
    ballot = after(sealed(1, SAFE), Abstained(2, "val_2"), DeadlinePassed())
    assert [ballot.votes[n].vacant for n in (1, 2, 3)] == [False, True, True]
    late = after(sealed(1, SAFE), PhaseClosed(), RevealsClosed())
    assert not late.votes[1].vacant


def test_a_replacement_commits_in_the_same_phase() -> None:
    ballot = after(sealed(1, SAFE), sealed(2, SAFE), DeadlinePassed(), PanelSeated(panel(4)), sealed(4, SAFE))
    assert ballot.votes[3].status is SeatStatus.NO_SHOW
    assert ballot.votes[4].status is SeatStatus.COMMITTED
    with pytest.raises(BallotError, match="is NO_SHOW"):
        apply(ballot, sealed(3, SAFE))


@pytest.mark.parametrize(
    "event",
    [Committed(9, "val_9", "ab" * 32), Committed(1, "val_2", "ab" * 32), Abstained(2, "val_1")],
)
def test_a_seat_that_one_does_not_hold_is_refused(event: Event) -> None:
    with pytest.raises(BallotError, match="is not held by") as refused:
        after(event)
    assert refused.value.code == "BALLOT_WRONG_SEAT"


def test_a_panel_of_another_phase_is_refused() -> None:
    with pytest.raises(BallotError, match="of phase 1, the panel of phase 2"):
        apply(Ballot(ROUND, 1), PanelSeated(Panel(2)))


def test_a_commitment_is_a_hash() -> None:
    with pytest.raises(BallotError, match="64 hex digits"):
        after(Committed(1, "val_1", "SAFE"))


PLACE = st.tuples(st.text(max_size=5), st.integers(0, 9), st.integers(0, 9), st.text(max_size=5))


@given(PLACE, PLACE)
def test_commitments_and_salts_bind_round_phase_seat_and_validator(
    one: tuple[str, int, int, str], other: tuple[str, int, int, str]
) -> None:
    if one != other:
        assert commitment(*one, verdict_hash="v", salt="s") != commitment(*other, verdict_hash="v", salt="s")
        assert derived_salt(b"k", *one) != derived_salt(b"k", *other)
    assert derived_salt(b"k", *one) != derived_salt(b"l", *one)


@given(st.permutations([1, 2, 3]), st.permutations([1, 2, 3]))
def test_neither_the_order_of_commitments_nor_that_of_reveals_matters(commits: list[int], reveals: list[int]) -> None:
    said = {1: SAFE, 2: UNSAFE, 3: SAFE}
    ballot = after(*(sealed(n, said[n]) for n in commits), PhaseClosed(), *(opened(n, said[n]) for n in reveals))
    assert votes(ballot) == [Vote.SAFE, Vote.UNSAFE, Vote.SAFE]


def test_a_refused_event_changes_nothing() -> None:
    ballot = after(sealed(1, SAFE))
    with pytest.raises(BallotError):
        apply(ballot, sealed(1, UNSAFE))
    assert ballot == after(sealed(1, SAFE))
    assert ballot.stage is Stage.COMMITTING
