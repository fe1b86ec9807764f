"""One simulated deployment: rounds day by day, on the code that real rounds run on.

Selection, consensus, points, reputation, accuracy, weights and payouts are the protocol's own functions under a real `Policy`; only
votes and truths are synthetic. Validators' ledgers are kept in memory and each day closes with the update that a deployment
makes. Equal scenario, policy and seed give equal results on every machine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random

import polars as pl

from sigma_core.assembly.consensus import CanaryState, RoundOutcome, TruthSource, Vote, decide
from sigma_core.assembly.selection import Panel, Pool, draw_panel, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_hex
from sigma_core.policy import PPM, Policy
from sigma_core.simulation.population import Behaviour, Member, Scenario, members
from sigma_core.standing import accuracy, reputation
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.ledger import ACCURACY_COLUMNS, LedgerEntry, ReputationEvent
from sigma_core.standing.payouts import round_payouts
from sigma_core.standing.points import (
    ResolvedRound,
    RoundKind,
    ScoredSeat,
    base_rates,
    reputation_events,
    score_round,
)
from sigma_core.standing.reputation import ReputationState
from sigma_core.standing.weights import VALIDATOR_COLUMNS, governance_weights

CLIQUE = "clique"
"""Author of the clique's packages, where it has one name."""

SUSPECT_PACKAGES = 3
"""Canaries are aimed at nobody with fewer failed packages."""

RESOLVED_COLUMNS = {"round_id": pl.String, "kind": pl.String, "truth": pl.String, "day": pl.Int64}


@dataclass(frozen=True, slots=True)
class _Submission:
    """One package: its truth, who submitted it, and whether it is a canary or the clique's attack."""

    number: int
    author: str
    truth: Verdict
    canary: bool
    attack: bool


@dataclass(frozen=True, slots=True)
class _Pending:
    """An escalated round that waits for its truth."""

    submission: _Submission
    seats: tuple[ScoredSeat, ...]


@dataclass(frozen=True, slots=True)
class GroupShare:
    """One group at the end of one day, in ppm of all: its weight and its stake. ``ratio_ppm`` is the one over the other."""

    day: int
    group: str
    weight_ppm: int
    stake_ppm: int
    ratio_ppm: int


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to. ``shares`` are in order of day and group; counts are of submissions.

    ``net_micro_usd`` is what a group's validators were paid less what they forfeited, per 1,000 USD of their stake.
    """

    scenario: str
    policy_hash: str
    seed: int
    shares: tuple[GroupShare, ...]
    submissions: int
    canaries: int
    attacks: int
    attacks_certified: int
    unsafe: int
    unsafe_certified: int
    safe: int
    safe_certified: int
    escalated: int
    seats_by_group: dict[str, int]
    net_micro_usd: dict[str, int]

    @property
    def final(self) -> dict[str, int]:
        """Weight share over stake share of each group after the last day, in ppm."""
        last = self.shares[-1].day
        return {share.group: share.ratio_ppm for share in self.shares if share.day == last}


def simulate(scenario: Scenario, policy: Policy, seed: int) -> Result:
    """Run ``scenario`` under ``policy``. Raises PoolTooSmallError where its panels cannot be filled."""
    return _Run(scenario, policy, seed).result()


class _Run:
    def __init__(self, scenario: Scenario, policy: Policy, seed: int) -> None:
        self.scenario, self.policy, self.seed = scenario, policy, seed
        self.random = Random(f"sigma simulation {seed}")  # noqa: S311 — a simulation is meant to repeat
        self.members = {member.validator_id: member for member in members(scenario, self.random)}
        self.validators = pl.DataFrame(
            [
                (m.validator_id, m.operator, m.family, m.stake_micro_usd, PPM, 0, 0, False)
                for m in self.members.values()
            ],
            schema=VALIDATOR_COLUMNS,
            orient="row",
        )
        self.accuracy, self.reputation = AccuracyState.before(0), ReputationState.before(0)
        self.entries: list[LedgerEntry] = []
        self.events: list[ReputationEvent] = []
        self.resolved: list[tuple[str, str, str, int]] = []
        self.pending: dict[int, list[_Pending]] = defaultdict(list)
        self.shares: list[GroupShare] = []
        self.counts: Counter[str] = Counter()
        self.seats: Counter[str] = Counter()
        self.net: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.exposed: dict[str, set[str]] = defaultdict(set)
        self.last_majority = Verdict.SAFE

    def result(self) -> Result:
        scenario = self.scenario
        number = 0
        for day in range(-(-scenario.submissions // scenario.submissions_per_day)):
            self._open_day(day)
            for pending in self.pending.pop(day, []):
                self._resolve_late(pending, day)
            for _ in range(min(scenario.submissions_per_day, scenario.submissions - number)):
                self._round(self._submission(number), day)
                number += 1
            self._close_day(day)
        stakes: Counter[str] = Counter()
        for member in self.members.values():
            stakes[member.group] += member.stake_micro_usd
        return Result(
            scenario=scenario.name,
            policy_hash=self.policy.hash,
            seed=self.seed,
            shares=tuple(self.shares),
            submissions=number,
            canaries=self.counts["canary"],
            attacks=self.counts["attack"],
            attacks_certified=self.counts["attack certified"],
            unsafe=self.counts["UNSAFE"],
            unsafe_certified=self.counts["UNSAFE certified"],
            safe=self.counts["SAFE"],
            safe_certified=self.counts["SAFE certified"],
            escalated=self.counts["escalated"],
            seats_by_group={group.name: self.seats[group.name] for group in scenario.groups},
            net_micro_usd={
                group.name: self.net[group.name] * 1_000_000_000 // stakes[group.name] for group in scenario.groups
            },
        )

    # A day

    def _open_day(self, day: int) -> None:
        """The epoch that today's panels are drawn from, and the base rates that today's rounds are scored by."""
        rules = self.policy.standing
        table = governance_weights(
            self.validators,
            accuracy.accuracy(self.accuracy, rules).select("validator_id", "accuracy_ppm"),
            self.reputation.frame.select("validator_id", "reputation_ppm"),
            rules,
        )
        rows = table.frame.select("validator_id", "operator", "family", "weight", "reputation_ppm").iter_rows()
        snapshot = WeightsSnapshot.of(day + 1, self.policy.hash, (WeightRow(*row) for row in rows))
        self.pool, self.root = Pool.of(snapshot, self.policy.assembly), snapshot.merkle_root
        resolved = pl.DataFrame(self.resolved, schema=RESOLVED_COLUMNS, orient="row")
        self.rates = base_rates(resolved, day, rules)
        if day:
            self._note_shares(day - 1, table.frame)

    def _close_day(self, day: int) -> None:
        rules = self.policy.standing
        lines = pl.DataFrame(
            [(entry.validator_id, entry.day, entry.aligned_q10, entry.misaligned_q10) for entry in self.entries],
            schema=ACCURACY_COLUMNS,
            orient="row",
        )
        self.accuracy = accuracy.advance(self.accuracy, accuracy.daily_points(lines), day, rules)
        self.reputation = reputation.advance(self.reputation, reputation.event_frame(self.events), day, rules)
        self.entries.clear()
        self.events.clear()
        if (day + 1) * self.scenario.submissions_per_day >= self.scenario.submissions:
            self._open_day(day + 1)

    def _note_shares(self, day: int, weights: pl.DataFrame) -> None:
        weight: Counter[str] = Counter()
        stake: Counter[str] = Counter()
        for validator_id, of_stake, of_weight in weights.select(
            "validator_id", "stake_micro_usd", "weight"
        ).iter_rows():
            group = self.members[validator_id].group
            weight[group] += of_weight
            stake[group] += of_stake
        all_weight, all_stake = weight.total(), stake.total()
        self.shares += [
            GroupShare(
                day,
                group.name,
                weight[group.name] * PPM // all_weight,
                stake[group.name] * PPM // all_stake,
                weight[group.name] * all_stake * PPM // (all_weight * stake[group.name]),
            )
            for group in self.scenario.groups
        ]

    # A submission

    def _submission(self, number: int) -> _Submission:
        scenario, random = self.scenario, self.random
        kind, label, own, aim = (random.randrange(PPM) for _ in range(4))
        if kind < scenario.canary_ppm:
            if aim < scenario.aimed_canaries_ppm and (suspect := self._suspect()) is not None:
                return _Submission(number, suspect, Verdict.UNSAFE, canary=True, attack=False)
            author = f"author_{own % scenario.authors}"
            return _Submission(number, author, _verdict(label < PPM // 2), canary=True, attack=False)
        if kind < scenario.canary_ppm + scenario.attack_ppm:
            author = f"{CLIQUE}_{number}" if scenario.fresh_authors else CLIQUE
            return _Submission(number, author, Verdict.UNSAFE, canary=False, attack=True)
        unsafe = label < scenario.unsafe_ppm
        return _Submission(number, f"author_{own % scenario.authors}", _verdict(unsafe), canary=False, attack=False)

    def _suspect(self) -> str | None:
        """The author with the most failed packages, if there are some; of equals the last name."""
        if not self.failed:
            return None
        failed, author = max((count, name) for name, count in self.failed.items())
        return author if failed >= SUSPECT_PACKAGES else None

    def _round(self, submission: _Submission, day: int) -> None:
        assembly = self.policy.assembly
        round_id = f"rnd_{self.seed}_{submission.number}"
        # The submission's hash and the beacon's value, as unlike each other as real ones.
        seed = selection_seed(
            round_id, sha256_hex(round_id.encode()), self.root, f"{self.random.getrandbits(256):064x}"
        )
        conflicts = self.exposed[submission.author] if self.scenario.exposure_limit else ()
        luck = _Luck(self.random, self.scenario)
        panels: list[Panel] = []
        seats: list[ScoredSeat] = []

        def sit(phase: int, size: int) -> list[Vote]:
            panel = draw_panel(self.pool, seed, phase, size, assembly, conflicts=conflicts, earlier=panels)
            panels.append(panel)
            votes = [self._vote(self.members[seat.validator_id], submission, luck) for seat in panel.seats]
            seats.extend(
                ScoredSeat(phase, seat.number, seat.validator_id, vote)
                for seat, vote in zip(panel.seats, votes, strict=True)
            )
            return votes

        canary = CanaryState(label=submission.truth if submission.canary else None)
        first, second = sit(1, assembly.seats_per_phase), sit(2, assembly.seats_per_phase)
        outcome = decide(first, second, signals=(), coverage_complete=True, rules=assembly, canary=canary)
        if outcome.third_panel_eligible:
            third = sit(3, assembly.third_panel_seats)
            outcome = decide(
                first, second, signals=(), coverage_complete=True, rules=assembly, canary=canary, third_panel=third
            )
        self.seats.update(self.members[seat.validator_id].group for seat in seats)
        self._count(submission, outcome.outcome)
        cast = Counter(seat.vote for seat in seats)
        self.last_majority = _verdict(cast[Vote.UNSAFE] > cast[Vote.SAFE])
        if not submission.canary:
            self.failed[submission.author] += outcome.outcome is not RoundOutcome.APPROVED
        if outcome.truth is not None and outcome.truth_source is not None:
            escalated = outcome.outcome is RoundOutcome.ESCALATED
            self._score(submission, seats, outcome.truth, outcome.truth_source, day, escalated=escalated)
        elif self.random.randrange(PPM) < self.scenario.resolved_ppm:
            self.pending[day + self.scenario.resolution_days].append(_Pending(submission, tuple(seats)))

    def _count(self, submission: _Submission, outcome: RoundOutcome) -> None:
        certified = outcome is RoundOutcome.APPROVED
        self.counts["escalated"] += outcome is RoundOutcome.ESCALATED and not submission.canary
        for name in (
            "canary" if submission.canary else submission.truth.value,
            *(["attack"] if submission.attack else []),
        ):
            self.counts[name] += 1
            self.counts[f"{name} certified"] += certified

    def _vote(self, member: Member, submission: _Submission, luck: _Luck) -> Vote:
        if self.random.randrange(PPM) < self.scenario.no_show_ppm:
            return Vote.NO_SHOW
        own = self.random.randrange(PPM)
        match member.behaviour:
            case Behaviour.ALWAYS_SAFE:
                return Vote.SAFE
            case Behaviour.ALWAYS_UNSAFE:
                return Vote.UNSAFE
            case Behaviour.RANDOM:
                return Vote.SAFE if own < PPM // 2 else Vote.UNSAFE
            case Behaviour.COPYCAT:
                return Vote(self.last_majority.value)
            case Behaviour.SLEEPER if submission.attack or submission.author == CLIQUE:
                return Vote.SAFE
        unsafe = submission.truth is Verdict.UNSAFE
        right = luck.of(member.family, own) < (member.sensitivity_ppm if unsafe else member.specificity_ppm)
        return Vote.UNSAFE if unsafe == right else Vote.SAFE

    # A truth

    def _resolve_late(self, pending: _Pending, day: int) -> None:
        right = self.random.randrange(PPM) < self.scenario.resolution_right_ppm
        truth = _verdict((pending.submission.truth is Verdict.UNSAFE) == right)
        self._score(pending.submission, pending.seats, truth, TruthSource.OPERATOR, day, escalated=True)

    def _score(
        self,
        submission: _Submission,
        seats: list[ScoredSeat] | tuple[ScoredSeat, ...],
        truth: Verdict,
        source: TruthSource,
        day: int,
        *,
        escalated: bool,
    ) -> None:
        kind = RoundKind.CANARY if submission.canary else RoundKind.CERTIFICATE
        resolved = ResolvedRound(
            round_id=f"rnd_{self.seed}_{submission.number}",
            kind=kind,
            seats=tuple(seats),
            truth=truth,
            truth_source=source,
            day=day,
            escalated=escalated,
        )
        self.resolved.append((resolved.round_id, kind.value, truth.value, day))
        entries = score_round(resolved, self.rates, self.policy)
        self.entries += entries
        self.events += reputation_events(resolved, self.policy)
        for line in round_payouts(entries, self.policy):
            if line.validator_id is not None:
                self.net[self.members[line.validator_id].group] += line.amount_micro_usd
        if truth is Verdict.UNSAFE and self.scenario.exposure_limit:
            self.exposed[submission.author].update(
                self.members[seat.validator_id].operator for seat in seats if seat.vote is Vote.SAFE
            )


class _Luck:
    """Whose luck a validator has on one package: everybody's, its family's, or its own."""

    def __init__(self, random: Random, scenario: Scenario) -> None:
        self._random, self._scenario = random, scenario
        self._package = random.randrange(PPM)
        self._families: dict[str, int] = {}

    def of(self, family: str, own: int) -> int:
        """A number below 1,000,000; below a validator's skill it is right."""
        cause = self._random.randrange(PPM)
        if cause < self._scenario.cause_of_package_ppm:
            return self._package
        if cause < self._scenario.cause_of_package_ppm + self._scenario.cause_of_family_ppm:
            return self._families.setdefault(family, self._random.randrange(PPM))
        return own


def _verdict(unsafe: bool) -> Verdict:
    return Verdict.UNSAFE if unsafe else Verdict.SAFE
