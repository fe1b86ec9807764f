"""Recompute a round from its public record: anyone can, with nothing else.

`replay` goes through a `ReplayDocument` step by step, each step from what the document states, so that a disagreement
is named where it arises: the path of the stated value, the inputs that it was recomputed from, and the rule.

A document that agrees with itself is a round that followed the protocol. Whether it is *the* round shows in the
values that were published elsewhere (certificate, beacon anchor, weights root): hand them to `replay` as
``published``. `ReplayReport.unchecked` says what no recomputation can cover.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from sigma_core.assembly.appeal import Appeal, appeal_rules
from sigma_core.assembly.beacon import BeaconChain, BeaconError, BeaconValue, HashChain
from sigma_core.assembly.canaries import ANSWERED, PlantedCanary, missed_by, plant_for
from sigma_core.assembly.commit_reveal import Ballot, SealedVote, SeatStatus, Stage, opens
from sigma_core.assembly.consensus import CanaryState, Outcome, RoundOutcome
from sigma_core.assembly.drand import DrandChain
from sigma_core.assembly.independence import Calibration
from sigma_core.assembly.overrides import refusal_of_approval, refusal_of_rejection
from sigma_core.assembly.replay_document import (
    SCHEMA,
    DrandChainPart,
    HashChainPart,
    ReplayDocument,
    independence_json,
)
from sigma_core.assembly.round import (
    PHASE_TWO,
    THIRD_PANEL,
    ClosedBy,
    OpenPhase,
    PhaseRecord,
    Round,
    SealedSubmission,
    conclude,
    open_phase,
    redraw_vacancies,
)
from sigma_core.assembly.selection import Panel, Pool, PoolTooSmallError, Seat, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsError, WeightsSnapshot
from sigma_core.audit.canaries.bank import bank_sha256, package_tree_hash
from sigma_core.audit.canaries.labels import package_label
from sigma_core.canonical import Json, NotCanonical, canonical_json, sha256_of
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.policy import AssemblyRules, CanaryRules
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.submissions.member_names import TakenNames

_MOST_DRAW_ATTEMPTS = 1 << 20
"""So that a hostile document cannot make a replay draw for ever."""

_MOST_SEATS = 1_000
"""The same for the files planted for them."""

StandingReplay = Callable[[Mapping[str, Any], Outcome], Json]
"""Recomputes the ``standing`` part (points and payouts) from the whole document and the recomputed outcome."""

WeightsReplay = Callable[[], Json]
"""Recomputes the ``weights`` part from what the published epoch says that they rest on."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A stated value that does not follow: its path, the paths that it was recomputed from, the rule, both values."""

    path: str
    inputs: tuple[str, ...]
    rule: str
    stated: Json
    recomputed: Json


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. ``unchecked`` are ``path: why`` of what could not be recomputed."""

    disagreements: tuple[Disagreement, ...]
    unchecked: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything that could be recomputed came out as stated."""
        return not self.disagreements


def replay(
    document: Mapping[str, Any],
    *,
    standing: StandingReplay | None = None,
    weights: WeightsReplay | None = None,
    published: Sequence[Mapping[str, Json]] = (),
) -> ReplayReport:
    """Recompute a round from its public document.

    ``published`` are mappings from dotted names such as ``weights.merkleRoot`` to values that the reader has from elsewhere. Never
    raises for what a document may hold; a document of the wrong shape is a disagreement at the place that is wrong.
    """
    check = _Replay(document)
    for values in published:
        check.published(values)
    try:
        stated = ReplayDocument.model_validate_json(canonical_json(dict(document)))
    except NotCanonical as error:
        check.differs("$", "a replay document is canonical JSON: " + error.message)
    except ValidationError as error:
        for flaw in error.errors(include_url=False):
            check.differs(_path(flaw["loc"]), f"a replay document has the shape of {SCHEMA}: {flaw['msg']}")
    else:
        check.everything(stated, standing, weights)
    return ReplayReport(tuple(check.disagreements), tuple(check.unchecked))


def _path(location: Sequence[str | int]) -> str:
    # pydantic puts the chosen member of a union into the location; it is no part of the document.
    return "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part not in ("hash-chain", "drand")
    )


@dataclass
class _Replay:
    """The steps of a replay, in the order of the protocol, and what they found."""

    raw: Mapping[str, Any]
    disagreements: list[Disagreement] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def differs(self, path: str, rule: str, *inputs: str, stated: Json = None, recomputed: Json = None) -> None:
        self.disagreements.append(Disagreement(path, inputs, rule, stated, recomputed))

    def same(self, path: str, stated: Any, recomputed: Any, rule: str, *inputs: str) -> None:
        """Note every leaf in which two JSON values differ."""
        if isinstance(stated, Mapping) and isinstance(recomputed, Mapping):
            for key in sorted({*stated, *recomputed}):
                at, values = f"{path}.{key}", (stated.get(key), recomputed.get(key))
                if key in stated and key in recomputed:
                    self.same(at, *values, rule, *inputs)
                else:
                    self.differs(at, rule, *inputs, stated=values[0], recomputed=values[1])
        elif isinstance(stated, list) and isinstance(recomputed, list) and len(stated) == len(recomputed):
            for index, pair in enumerate(zip(stated, recomputed, strict=True)):
                self.same(f"{path}[{index}]", *pair, rule, *inputs)
        elif stated != recomputed or type(stated) is not type(recomputed):
            self.differs(path, rule, *inputs, stated=stated, recomputed=recomputed)

    def everything(
        self, stated: ReplayDocument, standing: StandingReplay | None, weights: WeightsReplay | None
    ) -> None:
        self.hashes()
        self.beacon(stated)
        seed = selection_seed(stated.round_id, stated.submission_hash, stated.weights.merkle_root, stated.beacon.value)
        covered = ("$.roundId", "$.submissionHash", "$.weights.merkleRoot", "$.beacon.value")
        self.same("$.seed", stated.seed, seed, "the seed covers round, submission, weights and beacon", *covered)
        snapshot = self.weights(stated, weights)
        facts = self.facts(stated)
        try:
            rules = AssemblyRules.model_validate_json(canonical_json(stated.policy.get("assembly")))
        except ValidationError as error:
            self.differs("$.policy.assembly", f"not assembly rules: {error.errors()[0]['msg']}")
            return
        if rules.max_draw_attempts > _MOST_DRAW_ATTEMPTS:
            self.differs(
                "$.policy.assembly.max_draw_attempts", f"more than {_MOST_DRAW_ATTEMPTS} tickets are not drawn again"
            )
            return
        records = [self.phase(stated, index) for index in range(len(stated.phases))]
        drawn = self.panels(stated, rules, snapshot, records) if snapshot is not None else None
        if stated.appeal is not None:
            rules = appeal_rules(rules, stated.appeal.seats_per_phase)
        if facts is not None:
            outcome = self.outcome(stated, rules, facts, records, standing)
            self.not_held(drawn, outcome)
            self.overrides(stated, outcome, facts)

    def published(self, values: Mapping[str, Json]) -> None:
        for name, value in sorted(values.items()):
            found: Any = self.raw
            for key in name.split("."):
                found = found.get(key) if isinstance(found, Mapping) else None
            self.same(f"$.{name}", found, value, "published elsewhere")

    def hashes(self) -> None:
        """Documents that stand beside their own hash."""
        for source, target in (
            ("submission", "submissionHash"),
            ("policy", "policyHash"),
            ("facts", "factsHash"),
        ):
            rule = f"{target} is the SHA-256 of the canonical JSON of {source}"
            self.same(f"$.{target}", self.raw[target], sha256_of(self.raw[source]), rule, f"$.{source}")
        independence = self.raw["independence"]
        self.same(
            "$.independence.calibrationHash",
            independence["calibrationHash"],
            sha256_of(independence["calibration"]),
            "calibrationHash is the SHA-256 of the canonical JSON of calibration",
            "$.independence.calibration",
        )

    def beacon(self, stated: ReplayDocument) -> None:
        """The value is the chain's, and of the round that the submission was bound to."""
        part, bound = stated.beacon, stated.submission
        try:
            chain = _chain(part.chain)
            rule = "the submission names the beacon chain"
            self.same("$.submission.beaconChain", bound.beacon_chain, chain.id, rule, "$.beacon.chain")
            rule = "the submission names the beacon round"
            self.same("$.submission.beaconRound", bound.beacon_round, part.round, rule, "$.beacon.round")
            chain.verify(BeaconValue(chain.id, part.round, part.value, part.proof))
        except BeaconError as error:
            inputs = ("$.beacon.chain", "$.beacon.round", "$.beacon.proof")
            self.differs("$.beacon.value", error.message, *inputs, stated=part.value)
        except Unavailable as error:
            self.unchecked.append(f"$.beacon.proof: {error.message}")

    def weights(self, stated: ReplayDocument, weights: WeightsReplay | None) -> WeightsSnapshot | None:
        part = stated.weights
        rows = [
            WeightRow(row.validator_id, row.operator, row.family, row.weight, row.reputation_ppm) for row in part.rows
        ]
        try:
            snapshot = WeightsSnapshot.of(part.epoch, part.policy_hash, rows)
        except WeightsError as error:
            self.differs("$.weights.rows", error.message)
            return None
        if list(snapshot.rows) != rows:
            self.differs("$.weights.rows", "rows are sorted by validator id")
        rule = "the root of the tree over epoch, policy and rows"
        self.same("$.weights.merkleRoot", part.merkle_root, snapshot.merkle_root, rule, "$.weights")
        if weights is not None:
            try:
                recomputed = weights()
            except SigmaError as error:
                self.differs("$.weights", error.message)
            else:
                rule = "the weights that follow from stakes, accuracies and reputations of the published epoch"
                self.same("$.weights", self.raw["weights"], recomputed, rule, "$.weights.epoch")
        return snapshot

    def facts(self, stated: ReplayDocument) -> FactsDocument | None:
        """The facts are of the package that was submitted, and have what consensus reads."""
        facts = FactsDocument(stated.facts)
        try:
            described = stated.facts["package"]["treeHash"]
            readable = type(stated.facts["coverage"]["complete"]) is bool and all(
                isinstance(signal, dict) for signal in facts.blocking_signals
            )
        except (KeyError, TypeError):
            readable, described = False, None
        if not readable:
            self.differs("$.facts", "facts have package.treeHash, coverage.complete and risk.blockingSignals")
            return None
        rule = "the facts are of the submitted tree"
        self.same("$.facts.package.treeHash", described, stated.submission.tree_hash, rule, "$.submission.treeHash")
        return facts

    def phase(self, stated: ReplayDocument, index: int) -> PhaseRecord:
        """One phase as stated, with every commitment opened."""
        part = stated.phases[index]
        votes: dict[int, SealedVote] = {}
        ballot = Ballot(stated.round_id, part.phase, Stage.CLOSED, votes)
        for at, seat in enumerate(part.seats):
            path = f"$.phases[{index}].seats[{at}]"
            vote = SealedVote(seat.number, seat.validator_id, SeatStatus(seat.status), seat.commitment, seat.salt)
            if seat.status is SeatStatus.REVEALED:
                if opens(ballot, vote, seat.verdict or {}, seat.salt or ""):
                    vote = replace(vote, verdict=seat.verdict)
                else:
                    rule = "a commitment covers round, phase, seat, validator, verdict document and salt"
                    inputs = ("$.roundId", f"$.phases[{index}].phase", f"{path}.number", f"{path}.validatorId")
                    self.differs(f"{path}.commitment", rule, *inputs, f"{path}.verdict", f"{path}.salt")
                    # As in the ballot: what does not open is a no-show.
                    vote = replace(vote, status=SeatStatus.NO_SHOW)
            elif seat.salt is not None or seat.verdict is not None:
                self.differs(f"{path}.status", "who did not reveal has neither salt nor verdict", f"{path}.salt")
            elif vote.vacant:
                self.unchecked.append(f"{path}.status: only the standing tells an abstention from a no-show")
            elif seat.status is SeatStatus.ABSTAINED:
                self.differs(f"{path}.status", "who abstained has no commitment", f"{path}.commitment")
            else:
                self.unchecked.append(f"{path}.commitment: it was never opened")
            votes[seat.number] = vote
        seats = [
            Seat(
                part.phase,
                seat.number,
                seat.validator_id,
                seat.operator,
                seat.family,
                seat.ticket_index,
                seat.relaxations,
                seat.replaces,
            )
            for seat in part.seats
        ]
        return PhaseRecord(Panel(part.phase, tuple(seats)), ballot, part.redraws, part.closed_by)

    def appeal(self, stated: ReplayDocument) -> Appeal | None:
        """The appeal, whose former operators are in conflict."""
        part = stated.appeal
        if part is None:
            return None
        if not set(part.former_operators) <= set(stated.submission.conflicts):
            rule = "who sat in the appealed round is in conflict"
            self.differs("$.appeal.formerOperators", rule, "$.submission.conflicts")
        self.unchecked.append(f"$.appeal: who sat in {part.round_id} is in the document of that round")
        return Appeal.of(part.round_id, part.seats_per_phase, part.former_operators)

    def panels(
        self,
        stated: ReplayDocument,
        rules: AssemblyRules,
        snapshot: WeightsSnapshot,
        records: Sequence[PhaseRecord],
    ) -> tuple[Round, list[Panel]] | None:
        """Draw every panel again, with the redraws that the stated vacancies call for; the round and its panels, None where one
        cannot be drawn."""
        beacon = BeaconValue(
            stated.submission.beacon_chain, stated.submission.beacon_round, stated.beacon.value, stated.beacon.proof
        )
        held = replace(
            Round.opened(
                stated.round_id,
                SealedSubmission(**stated.submission.model_dump(exclude={"schema_"})),
                rules,
                snapshot=snapshot,
                pool=Pool.of(snapshot, rules),
                beacon=beacon,
                appeal=self.appeal(stated),
            ),
            seed=stated.seed,
        )
        inputs = ("$.seed", "$.weights.rows", "$.submission.conflicts", "$.policy.assembly", "$.appeal")
        earlier: list[Panel] = []
        if len(records) > THIRD_PANEL:
            self.differs("$.phases", "a round has two phases and at most one third panel")
        for index, record in enumerate(records[:THIRD_PANEL]):
            path = f"$.phases[{index}]"
            try:
                panel = self.panel(path, held, index + 1, earlier, record)
            except PoolTooSmallError as error:
                self.differs(f"{path}.seats", error.message, *inputs)
                return None
            self.same(f"{path}.phase", record.panel.phase, index + 1, "phases are numbered from 1")
            drawn = [seat.as_json() for seat in panel.seats]
            published = [seat.as_json() for seat in record.panel.seats]
            rule = "the seats that the lottery draws"
            self.same(f"{path}.seats", published, drawn, rule, *inputs, f"{path}.redraws")
            earlier.append(panel)
        return held, earlier

    def not_held(self, drawn: tuple[Round, list[Panel]] | None, outcome: Outcome) -> None:
        """Whether a phase that the round did without could not have been held, as the pool had nobody left for it."""
        if drawn is None or len(drawn[1]) >= (THIRD_PANEL if outcome.third_panel_eligible else PHASE_TWO):
            return
        held, earlier = drawn
        try:
            open_phase(held, len(earlier) + 1, earlier)
        except PoolTooSmallError:
            return
        self.unchecked.append(
            f"$.phases: phase {len(earlier) + 1} was not held; only the deployment knows that the round was given up"
        )

    def overrides(self, stated: ReplayDocument, outcome: Outcome, facts: FactsDocument) -> None:
        """What an operator decided follows from nothing, but not everything may be decided, and it is decided once."""
        codes = [reason.code for reason in outcome.reasons]
        before: RoundOutcome | None = None
        for at, override in enumerate(stated.overrides):
            path = f"$.overrides[{at}]"
            self.same(f"{path}.number", override.number, at + 1, "overrides are numbered from 1")
            if override.outcome is RoundOutcome.REJECTED:
                refusal = refusal_of_rejection(outcome.outcome)
            else:
                refusal = refusal_of_approval(outcome.outcome, codes, facts)
            if refusal is None and override.outcome is before:
                refusal = f"was overridden to {before} before"
            if refusal is not None:
                rule = f"the round {refusal}"
                self.differs(f"{path}.outcome", rule, "$.outcome", "$.facts", stated=override.outcome.value)
            before = override.outcome
        times = [override.overridden_at for override in stated.overrides]
        if times != sorted(times):
            self.differs("$.overrides", "each override is at least as late as the one before")
        if times:
            self.unchecked.append("$.overrides: what somebody decided, when and why, follows from nothing else")

    def panel(self, path: str, held: Round, number: int, earlier: Sequence[Panel], record: PhaseRecord) -> Panel:
        """The panel of one phase, drawn and redrawn as stated. Raises PoolTooSmallError."""

        def seated(panel: Panel) -> OpenPhase:
            """The panel with the stated end of each of its seats; one that was never drawn here counts as filled."""
            votes = {
                seat.number: record.ballot.votes.get(
                    seat.number, SealedVote(seat.number, seat.validator_id, SeatStatus.COMMITTED)
                )
                for seat in panel.seats
            }
            return OpenPhase(panel, Ballot(held.id, number, votes=votes))

        phase = seated(open_phase(held, number, earlier).panel)
        rule = "each redraw is of standing seats that lost their holders, in order, and fills one at least"
        for at, vacant in enumerate(record.redraws or ()):
            redrawn = phase
            if list(vacant) == sorted(set(vacant)) and set(vacant) <= set(phase.vacant):
                redrawn = redraw_vacancies(held, phase, earlier, vacant)
            if redrawn is phase:
                self.differs(f"{path}.redraws[{at}]", rule, f"{path}.seats", stated=list(vacant))
                return phase.panel
            phase = seated(redrawn.panel)
        if record.redraws is not None and record.closed_by is ClosedBy.DEADLINE:
            if not any(record.ballot.votes[seat.number].vacant for seat in record.panel.standing):
                self.differs(f"{path}.closedBy", "a deadline closes a phase that waits for somebody", f"{path}.seats")
            self.unchecked.append(f"{path}.closedBy: only a clock tells whether the deadline had passed")
            return phase.panel
        while (redrawn := redraw_vacancies(held, phase, earlier)) is not phase:
            if record.redraws is not None:
                self.differs(f"{path}.redraws", "a vacant seat is redrawn while the pool has somebody", f"{path}.seats")
                return phase.panel
            phase = seated(redrawn.panel)
        return phase.panel

    def canaries(self, stated: ReplayDocument, facts: FactsDocument, records: Sequence[PhaseRecord]) -> CanaryState:
        """Choose the planted files again, read who missed one, and hold a canary package's label against the bank."""
        part = stated.canary
        same_bank = part.bank_sha256 == bank_sha256()
        planted = [
            PlantedCanary(each.phase, each.seat, each.item, each.path, each.sha256, each.verdict)
            for each in part.planted
        ]
        for index, each in enumerate(part.planted):
            path, rule = f"$.canary.planted[{index}]", "verdictHash is the SHA-256 of the canonical JSON of verdict"
            self.same(f"{path}.verdictHash", each.verdict_hash, sha256_of(each.verdict), rule, f"{path}.verdict")
        self.plants(stated, facts, records, planted, same_bank=same_bank)
        try:
            missed = missed_by(planted, records)
        except (KeyError, TypeError):
            self.differs("$.canary.planted", "each verdict lists findings, each of them in a file")
            return CanaryState(part.label)
        self.same(
            "$.canary.missedBy",
            [{"phase": each.phase, "seat": each.seat} for each in part.missed_by],
            [{"phase": phase, "seat": seat} for phase, seat in missed],
            "the SAFE votes that count whose validator did not cite the file planted for it",
            "$.canary.planted",
            "$.phases",
        )
        if (part.label is None) != (part.package is None):
            self.differs("$.canary.label", "a package has a label when it is a text of the bank, and only then")
        elif part.package is not None and part.package.bank_sha256 != bank_sha256():
            self.unchecked.append("$.canary.label: of another bank than the one here; the package was not made again")
        elif part.package is not None and part.label is not None:
            inputs = ("$.canary.package",)
            try:
                tree_hash = package_tree_hash(part.package.item, part.package.variant)
                label = package_label(part.package.item).verdict.value
            except KeyError:
                self.differs("$.canary.package.item", "a text of the bank", stated=part.package.item)
            else:
                rule = "the package that the bank makes of the item and variant"
                self.same("$.submission.treeHash", stated.submission.tree_hash, tree_hash, rule, *inputs)
                self.same("$.canary.label", part.label.value, label, "the label of the item", *inputs)
        return CanaryState(part.label, missed)

    def plants(
        self,
        stated: ReplayDocument,
        facts: FactsDocument,
        records: Sequence[PhaseRecord],
        planted: Sequence[PlantedCanary],
        *,
        same_bank: bool,
    ) -> None:
        """The files that the seed plants, seat by seat; their bytes and paths where the bank is the same."""
        try:
            rules = CanaryRules.model_validate_json(canonical_json(stated.policy.get("canaries", {})))
            taken = TakenNames(file["path"] for file in facts.document["coverage"]["files"])
        except (ValidationError, KeyError, TypeError):
            self.differs("$.policy.canaries", "canary rules, and facts that list the package's files")
            return
        if not same_bank and (rules.file_rate_ppm or planted):
            if stated.canary.bank_sha256 is None:
                self.differs("$.canary.bankSha256", "a round in which files may be planted names their bank")
            # Its hash is among what the files were drawn by: only who has that bank knows that it is none made up to plant nothing.
            self.unchecked.append("$.canary: of another bank than the one here; its files were not made again")
        if sum(len(record.panel.seats) for record in records) > _MOST_SEATS:
            self.differs("$.phases", f"for more than {_MOST_SEATS} seats nothing is planted again")
            return
        chosen = []
        for record in records:
            for seat in sorted(record.panel.seats, key=lambda seat: seat.number):
                plant = plant_for(stated.seed, stated.canary.bank_sha256 or "", seat, rules)
                if plant is None or record.ballot.votes[seat.number].status not in ANSWERED:
                    continue
                entry = {"phase": seat.phase, "seat": seat.number, "item": plant.item}
                if same_bank:
                    try:
                        file = plant.file(taken)
                    except KeyError:
                        self.differs("$.policy.canaries.files", f"texts of the bank; {plant.item} is none")
                        return
                    if file is None:
                        continue
                    entry |= {"path": file.path, "sha256": file.sha256}
                chosen.append(entry)
        fields = ("phase", "seat", "item", "path", "sha256") if same_bank else ("phase", "seat", "item")
        shown = [{name: value for name, value in each.as_json().items() if name in fields} for each in planted]
        inputs = ("$.seed", "$.phases", "$.policy.canaries", "$.canary.bankSha256")
        self.same(
            "$.canary.planted", shown, chosen, "the files that the seed plants for the seats that answered", *inputs
        )

    def outcome(
        self,
        stated: ReplayDocument,
        rules: AssemblyRules,
        facts: FactsDocument,
        records: Sequence[PhaseRecord],
        standing: StandingReplay | None,
    ) -> Outcome:
        """Consensus, independence and standing from the stated votes; the recomputed outcome."""
        outcome = conclude(rules, records, facts, self.canaries(stated, facts, records))
        decided_from = ("$.phases", "$.facts", "$.canary", "$.policy.assembly")
        self.same("$.outcome", stated.outcome, outcome.as_json(), "what consensus decides", *decided_from)

        part = stated.independence
        calibration = Calibration(
            part.calibration.kinds,
            {correlation.families: correlation.ppm for correlation in part.calibration.correlations},
        )
        stated_figures = {"nEffPpm": part.n_eff_ppm, "assuranceLevel": part.assurance_level}
        self.same(
            "$.independence",
            stated_figures,
            independence_json(records, calibration),
            "Kish n_eff and assurance level of the votes cast",
            "$.independence.calibration",
            "$.phases",
        )

        if stated.standing is not None and standing is None:
            self.unchecked.append("$.standing: no function to recompute points and weights was given")
        elif standing is not None:
            try:
                recomputed = standing(self.raw, outcome)
            except SigmaError as error:
                self.differs("$.standing", error.message)
            else:
                self.same("$.standing", stated.standing, recomputed, "points and payouts that follow from the outcome")
        return outcome


def _chain(part: HashChainPart | DrandChainPart) -> BeaconChain:
    if isinstance(part, HashChainPart):
        return HashChain(part.anchor)
    return DrandChain(**part.model_dump(exclude={"kind"}))
