"""One round from the sealed submission to its outcome: the whole protocol in the order in which it happens.

1. **Seal** (`SealedSubmission`). At submission the tree hash, the operators in conflict and a beacon round that has no
   value yet are fixed under one hash.
2. **Seed** (`Round.opened`). Once the beacon round has its value, the seed of all draws follows from it, the submission
   hash, the round id and the Merkle root of the weights.
3. **Phase 1, then phase 2** (`open_phase`, `cast`, `redraw_vacancies`, `PhaseRecord`; each step is kept by
   `sigma_core.lifecycle.phases`). A panel is drawn by lottery. Its members
   commit to verdicts without seeing each other's; who abstains, stays away or is taken off the seat is redrawn while
   nothing is revealed; then all reveal. Phase 2 has nobody of phase 1 and sees the package without the author's claims.
4. **Outcome** (`conclude`). The votes of the standing seats and the sandbox's facts go into `consensus.decide`. Where
   the policy allows it, a single dissent goes to a third panel, held like the others.
5. **Replay** (`sigma_core.assembly.replay`). Everything is published; whoever has the document gets the same seats and
   the same outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from sigma_core.assembly.appeal import Appeal, appeal_rules
from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.commit_reveal import (
    Abstained,
    Ballot,
    Committed,
    Event,
    PanelSeated,
    SeatStatus,
    apply,
    commitment,
    derived_salt,
)
from sigma_core.assembly.consensus import NO_CANARY, CanaryState, Outcome, Vote, decide
from sigma_core.assembly.selection import Panel, Pool, draw_panel, redraw_seats, selection_seed
from sigma_core.assembly.weights import WeightsSnapshot
from sigma_core.audit.model import AuditResult, Verdict, View
from sigma_core.canonical import sha256_of
from sigma_core.policy import AssemblyRules
from sigma_core.sandbox.facts import FactsDocument

PHASE_ONE, PHASE_TWO, THIRD_PANEL = 1, 2, 3


@dataclass(frozen=True)
class SealedSubmission:
    """What is fixed at submission, while ``beacon_round`` has no value yet.

    ``conflicts`` are operators, sorted: the submitter's own, those declared and, in an appeal, those of the former members.
    A re-run is sealed anew, with a new beacon round: the value of the first one is known by then.
    """

    submission_id: str
    tree_hash: str
    conflicts: tuple[str, ...]
    beacon_chain: str
    beacon_round: int

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON, the hashed form."""
        return {
            "schema": "sigma-submission-v1",
            "submissionId": self.submission_id,
            "treeHash": self.tree_hash,
            "conflicts": list(self.conflicts),
            "beaconChain": self.beacon_chain,
            "beaconRound": self.beacon_round,
        }

    @cached_property
    def hash(self) -> str:
        """The submission hash, SHA-256 hex of the canonical JSON: what the seed covers."""
        return sha256_of(self.as_json())


@dataclass(frozen=True)
class Round:
    """Everything that is fixed before the first audit. Make it with `Round.opened`. In an ``appeal``, ``rules`` are those of
    its larger panels."""

    id: str
    submission: SealedSubmission
    rules: AssemblyRules
    snapshot: WeightsSnapshot
    pool: Pool
    beacon: BeaconValue
    seed: str
    appeal: Appeal | None = None

    @classmethod
    def opened(
        cls,
        round_id: str,
        submission: SealedSubmission,
        rules: AssemblyRules,
        *,
        snapshot: WeightsSnapshot,
        pool: Pool,
        beacon: BeaconValue,
        appeal: Appeal | None = None,
    ) -> Round:
        """The round with its seed.

        ``rules`` are the policy's; ``pool`` is `Pool.of(snapshot, rules)`, shared by all rounds on one snapshot;
        ``beacon`` is the verified value of the beacon round that the submission names. Raises BeaconError
        for any other.
        """
        if (beacon.chain_id, beacon.round) != (submission.beacon_chain, submission.beacon_round):
            raise BeaconError(
                f"{round_id}: bound to beacon round {submission.beacon_round} of chain {submission.beacon_chain}, "
                f"not to round {beacon.round} of {beacon.chain_id}"
            )
        seed = selection_seed(round_id, submission.hash, snapshot.merkle_root, beacon.value)
        if appeal is not None:
            rules = appeal_rules(rules, appeal.seats_per_phase)
        return cls(round_id, submission, rules, snapshot, pool, beacon, seed, appeal)


class ClosedBy(StrEnum):
    """What ended a phase: nothing was left to wait for, or its deadline."""

    COMPLETE = "COMPLETE"
    DEADLINE = "DEADLINE"


@dataclass(frozen=True)
class PhaseRecord:
    """One phase when it is over: who sat, and what they revealed.

    ``redraws`` are the standing seats that were vacant at each redraw, in order: with seats that are taken from their
    holders at any time, and a deadline, they no longer follow from the vacancies alone. None for a record from before they
    were kept, whose redraws do.
    """

    panel: Panel
    ballot: Ballot
    redraws: tuple[tuple[int, ...], ...] | None = None
    closed_by: ClosedBy = ClosedBy.COMPLETE

    @property
    def votes(self) -> list[Vote]:
        """The votes of the standing seats: what consensus counts."""
        return [self.ballot.votes[seat.number].vote for seat in self.panel.standing]

    @property
    def families_cast(self) -> list[str]:
        """The families of the seats that said SAFE or UNSAFE: what n_eff and assurance are about."""
        return [
            seat.family
            for seat in self.panel.standing
            if self.ballot.votes[seat.number].vote in (Vote.SAFE, Vote.UNSAFE)
        ]


def view_of(phase: int) -> View:
    """What a phase's panel sees of the package."""
    return View.FULL if phase == PHASE_ONE else View.CLAIMS_STRIPPED


def panel_size(rules: AssemblyRules, phase: int) -> int:
    """How many seats a phase has."""
    return rules.third_panel_seats if phase == THIRD_PANEL else rules.seats_per_phase


@dataclass(frozen=True)
class OpenPhase:
    """A phase that may still take commitments: its panel so far, its ballot, and its redraws as in `PhaseRecord`."""

    panel: Panel
    ballot: Ballot
    redraws: tuple[tuple[int, ...], ...] = ()

    @property
    def pending(self) -> list[int]:
        """Numbers of the seats from which nothing has come yet."""
        return [number for number, vote in self.ballot.votes.items() if vote.status is SeatStatus.PENDING]

    @property
    def vacant(self) -> tuple[int, ...]:
        """Numbers of the standing seats that lost their holders."""
        return tuple(seat.number for seat in self.panel.standing if self.ballot.votes[seat.number].vacant)

    def after(self, event: Event) -> OpenPhase:
        """The phase after an event of its ballot. Raises BallotError."""
        return replace(self, ballot=apply(self.ballot, event))


def open_phase(held: Round, phase: int, earlier: Sequence[Panel]) -> OpenPhase:
    """Draw the panel of ``phase``; ``earlier`` are the panels before it. Raises PoolTooSmallError."""
    rules, conflicts = held.rules, held.submission.conflicts
    size = panel_size(rules, phase)
    panel = draw_panel(held.pool, held.seed, phase, size, rules, conflicts=conflicts, earlier=earlier)
    return OpenPhase(panel, apply(Ballot(held.id, phase), PanelSeated(panel)))


def redraw_vacancies(
    held: Round, phase: OpenPhase, earlier: Sequence[Panel], vacant: tuple[int, ...] | None = None
) -> OpenPhase:
    """``phase`` with new seats for its vacant ones (or those of ``vacant``, some of them); itself where none can be had, and
    the quorum will decide.

    To be called when no seat is pending: what is vacant is redrawn together.
    """
    vacant = phase.vacant if vacant is None else vacant
    panel = redraw_seats(
        held.pool,
        held.seed,
        phase.panel,
        vacant,
        held.rules,
        conflicts=held.submission.conflicts,
        earlier=earlier,
    )
    if len(panel.seats) == len(phase.panel.seats):
        return phase
    return OpenPhase(panel, apply(phase.ballot, PanelSeated(panel)), (*phase.redraws, vacant))


def cast(phase: OpenPhase, number: int, result: AuditResult, salt_secret: bytes) -> Committed | Abstained:
    """What the seat hands in for ``result``: its commitment, under a salt derived from the secret, or its abstention."""
    ballot, holder = phase.ballot, phase.ballot.votes[number].validator_id
    if result.verdict is Verdict.ABSTAIN:
        return Abstained(number, holder)
    salt = derived_salt(salt_secret, ballot.round_id, ballot.phase, number, holder)
    sealed = commitment(ballot.round_id, ballot.phase, number, holder, verdict_hash=result.sha256, salt=salt)
    return Committed(number, holder, sealed)


def conclude(
    rules: AssemblyRules, phases: Sequence[PhaseRecord], facts: FactsDocument, canary: CanaryState = NO_CANARY
) -> Outcome:
    """The outcome of both phases and, where one sat, the third panel; a phase that was not held has no votes."""
    votes = {record.panel.phase: record.votes for record in phases}
    return decide(
        votes.get(PHASE_ONE, ()),
        votes.get(PHASE_TWO, ()),
        third_panel=votes.get(THIRD_PANEL, ()),
        signals=facts.blocking_signals,
        coverage_complete=facts.complete,
        rules=rules,
        canary=canary,
    )
