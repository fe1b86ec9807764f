"""One round from the sealed submission to its outcome: the whole protocol in the order in which it happens.

1. **Seal** (`SealedSubmission`). At submission the tree hash, the operators in conflict and a beacon round that has no
   value yet are fixed under one hash.
2. **Seed** (`Round.opened`). Once the beacon round has its value, the seed of all draws follows from it, the submission
   hash, the round id and the Merkle root of the weights.
3. **Phase 1, then phase 2** (`hold_phase`). A panel is drawn by lottery. Its members commit to verdicts without seeing
   each other's; who abstains or stays away is redrawn while nothing is revealed; then all reveal. Phase 2 has
   nobody of phase 1 and sees the package without the author's claims.
4. **Outcome** (`conclude`). The votes of the standing seats and the sandbox's facts go into `consensus.decide`. Where
   the policy allows it, a single dissent may go to a third panel, held like the others.
5. **Replay** (`sigma_core.assembly.replay`). Everything is published; whoever has the document gets the same seats and
   the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.commit_reveal import (
    Abstained,
    Ballot,
    Committed,
    DeadlinePassed,
    PanelSeated,
    PhaseClosed,
    Revealed,
    RevealsClosed,
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

Audit = Callable[[Panel, Collection[int]], Mapping[int, AuditResult]]
"""The engines of the seats with these numbers: results by seat number. A seat that is missing from them did not show
up."""


@dataclass(frozen=True)
class SealedSubmission:
    """What is fixed at submission, while ``beacon_round`` has no value yet.

    ``conflicts`` are operators, sorted: the submitter's own and those declared. A re-run is sealed anew, with a new
    beacon round: the value of the first one is known by then.
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
    """Everything that is fixed before the first audit. Make it with `Round.opened`."""

    id: str
    submission: SealedSubmission
    rules: AssemblyRules
    snapshot: WeightsSnapshot
    pool: Pool
    beacon: BeaconValue
    seed: str

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
    ) -> Round:
        """The round with its seed.

        ``pool`` is `Pool.of(snapshot, rules)`, shared by all rounds on one snapshot;
        ``beacon`` is the verified value of the beacon round that the submission names. Raises BeaconError
        for any other.
        """
        if (beacon.chain_id, beacon.round) != (submission.beacon_chain, submission.beacon_round):
            raise BeaconError(
                f"{round_id}: bound to beacon round {submission.beacon_round} of chain {submission.beacon_chain}, "
                f"not to round {beacon.round} of {beacon.chain_id}"
            )
        seed = selection_seed(round_id, submission.hash, snapshot.merkle_root, beacon.value)
        return cls(round_id, submission, rules, snapshot, pool, beacon, seed)


@dataclass(frozen=True)
class PhaseRecord:
    """One phase when it is over: who sat, and what they revealed."""

    panel: Panel
    ballot: Ballot

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


def seat_panel(
    held: Round, phase: int, earlier: Sequence[Panel], vacancies: Callable[[Panel], Collection[int]]
) -> Panel:
    """Draw the panel of ``phase``, then redraw what ``vacancies`` says is vacant among its standing seats, until no new
    seat comes of it. Raises PoolTooSmallError when the first draw cannot fill the panel.

    ``vacancies`` is asked when every seat that is new has committed, abstained or missed its deadline.
    """
    rules, conflicts = held.rules, held.submission.conflicts
    size = panel_size(rules, phase)
    panel = draw_panel(held.pool, held.seed, phase, size, rules, conflicts=conflicts, earlier=earlier)
    while True:
        vacant = vacancies(panel)
        redrawn = redraw_seats(held.pool, held.seed, panel, vacant, rules, conflicts=conflicts, earlier=earlier)
        if len(redrawn.seats) == len(panel.seats):
            return panel
        panel = redrawn


def hold_phase(held: Round, phase: int, earlier: Sequence[Panel], audit: Audit, salt_secret: bytes) -> PhaseRecord:
    """One phase whose engines all answer through ``audit``, which is called once for every wave of seats.

    Engines that answer on their own time drive `commit_reveal.apply` with the same events instead. Raises
    PoolTooSmallError.
    """
    ballot = Ballot(held.id, phase)
    results: dict[int, AuditResult] = {}

    def commit_wave(panel: Panel) -> list[int]:
        nonlocal ballot
        new = [seat for seat in panel.seats if seat.number not in ballot.votes]
        ballot = apply(ballot, PanelSeated(panel))
        answers = audit(panel, [seat.number for seat in new])
        for seat in new:
            result = answers.get(seat.number)
            if result is None:
                continue
            if result.verdict is Verdict.ABSTAIN:
                ballot = apply(ballot, Abstained(seat.number, seat.validator_id))
                continue
            salt = derived_salt(salt_secret, held.id, phase, seat.number, seat.validator_id)
            sealed = commitment(held.id, phase, seat.number, seat.validator_id, verdict_hash=result.sha256, salt=salt)
            ballot = apply(ballot, Committed(seat.number, seat.validator_id, sealed))
            results[seat.number] = result
        ballot = apply(ballot, DeadlinePassed())
        return [seat.number for seat in panel.standing if ballot.votes[seat.number].vacant]

    panel = seat_panel(held, phase, earlier, commit_wave)
    ballot = apply(ballot, PhaseClosed())
    for number, result in results.items():
        validator_id = ballot.votes[number].validator_id
        salt = derived_salt(salt_secret, held.id, phase, number, validator_id)
        ballot = apply(ballot, Revealed(number, validator_id, result.as_json(), salt))
    return PhaseRecord(panel, apply(ballot, RevealsClosed()))


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
