"""Canaries in the lifecycle: files planted for seats, the record that a round is decided with, and unannounced packages.

A package of the bank enters through intake like any other. What it is stands in `CanaryPackageRow` under its tree hash, written before
the submission, so that a kill in between leaves a canary that was not submitted and never a submission that is not known as one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from sigma_core.assembly.canaries import ANSWERED, CanaryRecord, PackageCanary, PlantedCanary, plant_for
from sigma_core.assembly.selection import Seat
from sigma_core.audit.canaries.bank import PACKAGES, Draws, bank_sha256, canary_package, items
from sigma_core.audit.canaries.labels import package_label
from sigma_core.audit.canaries.planting import answer_of, with_file
from sigma_core.audit.model import Verdict, View
from sigma_core.audit.views import view_of
from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.audits import PlantedView, SeatAudit
from sigma_core.lifecycle.intake import Provenance, submit
from sigma_core.policy import PPM
from sigma_core.sandbox.derive import derive_facts
from sigma_core.storage.canary_secret import load_or_create_canary_secret
from sigma_core.storage.engine import one_at_a_time
from sigma_core.storage.protocol import CanaryPackageRow, PlantedCanaryRow, RoundRow, SeatRow, SubmissionRow
from sigma_core.submissions.member_names import TakenNames
from sigma_core.submissions.package import Package, SourceType
from sigma_core.timestamps import utc_now

DRAWN_BACK = timedelta(days=2)
"""Rounds that were opened longer ago call for no canary any more."""


@dataclass(frozen=True)
class Planting:
    """The files that a round plants for the seats of one phase. ``package`` is the whole package, ``view`` what of it the phase sees."""

    deployment: Deployment
    row: RoundRow
    package: Package
    view: View
    shown: dict[int, PlantedView] = field(default_factory=dict)
    """By seat number, as they were made."""

    def views(self, seats: Iterable[Seat]) -> dict[int, PlantedView]:
        """The planted views of those of ``seats`` that get one, by seat number: a few in a hundred (policy)."""
        policy, taken = self.deployment.policy, TakenNames(self.package.by_path)
        for seat in seats:
            plant = plant_for(self.row.seed, bank_sha256(), seat, policy.canaries)
            file = plant.file(taken) if plant is not None else None
            if plant is not None and file is not None:
                whole = with_file(self.package, file)
                # The same sandbox as for the package itself: a file without facts among files with facts would tell.
                facts = derive_facts(whole, policy)
                self.shown[seat.number] = PlantedView(plant, file, view_of(whole, self.view), facts)
        return self.shown

    def rows(self, seats: Iterable[Seat], audits: Mapping[int, SeatAudit]) -> list[PlantedCanaryRow]:
        """What is kept of the planted views and of what ``audits`` say about them."""
        kept = []
        for seat in seats:
            shown, said = self.shown.get(seat.number), audits[seat.number].planted
            if shown is None or said is None:
                continue
            verdict = said.result.as_json()
            kept.append(
                PlantedCanaryRow(
                    round_id=self.row.id,
                    phase=seat.phase,
                    seat_number=seat.number,
                    validator_id=seat.validator_id,
                    family=seat.family,
                    item=shown.plant.item,
                    path=shown.file.path,
                    file_sha256=shown.file.sha256,
                    result_sha256=self.deployment.blobs.put(canonical_json(verdict)),
                    answer=answer_of(verdict, shown.file.path).value,
                )
            )
        return kept


def canary_record(deployment: Deployment, row: RoundRow) -> CanaryRecord:
    """All that canaries were in a round, from what its stages kept."""
    with deployment.read_sessions() as session:
        planted = session.scalars(
            select(PlantedCanaryRow)
            .join(
                SeatRow,
                and_(
                    SeatRow.round_id == PlantedCanaryRow.round_id,
                    SeatRow.phase == PlantedCanaryRow.phase,
                    SeatRow.number == PlantedCanaryRow.seat_number,
                ),
            )
            .where(PlantedCanaryRow.round_id == row.id, SeatRow.status.in_(ANSWERED))
            .order_by(PlantedCanaryRow.phase, PlantedCanaryRow.seat_number)
        ).all()
        tree_hash = session.get_one(SubmissionRow, row.submission_id).tree_hash
        package = session.get(CanaryPackageRow, tree_hash)
    return CanaryRecord(
        bank_sha256=bank_sha256(),
        package=PackageCanary(package.item, package.variant, package.bank_sha256, Verdict(package.label))
        if package is not None
        else None,
        planted=tuple(
            PlantedCanary(
                each.phase,
                each.seat_number,
                each.item,
                each.path,
                each.file_sha256,
                json.loads(deployment.blobs.get(each.result_sha256)),
            )
            for each in planted
        ),
    )


def is_canary(session: Session, tree_hash: str) -> bool:
    """Whether the bytes under ``tree_hash`` are a canary of this deployment."""
    return session.get(CanaryPackageRow, tree_hash) is not None


def submit_due_canaries(deployment: Deployment) -> list[str]:
    """Submit the canary packages that recent rounds call for and that are not in yet; their submission ids.

    A first round calls for one when HMAC(secret, beacon value and round) falls below the policy's rate; the same number says which text
    and which variant. Calling this again submits nothing twice. Raises Unavailable.
    """
    rate = deployment.policy.canaries.package_rate_ppm
    with deployment.read_sessions() as session:
        recent = session.execute(
            select(RoundRow.id, RoundRow.beacon_value)
            .join(SubmissionRow, SubmissionRow.id == RoundRow.submission_id)
            .where(
                RoundRow.number == 1,
                RoundRow.opened_at > utc_now() - DRAWN_BACK,
                # A canary calls for no other.
                ~exists().where(CanaryPackageRow.tree_hash == SubmissionRow.tree_hash),
            )
            .order_by(RoundRow.id)
        ).all()
    if not rate or not recent:
        return []
    secret = load_or_create_canary_secret(deployment.settings.canary_key)
    submitted = []
    with one_at_a_time(deployment.protocol, "sigma canaries"):
        for round_id, beacon_value in recent:
            variant = hmac.new(secret, f"{beacon_value}/{round_id}".encode(), hashlib.sha256).hexdigest()
            draws = Draws("canary-package", variant)
            if draws.below(PPM) < rate:
                submitted += _submit_once(deployment, round_id, draws.one_of(items(PACKAGES)), variant)
    return submitted


def _submit_once(deployment: Deployment, round_id: str, item: str, variant: str) -> list[str]:
    package = canary_package(item, variant, deployment.policy)
    with deployment.sessions.begin() as session:
        drawn = session.scalar(select(CanaryPackageRow).where(CanaryPackageRow.drawn_by == round_id))
        known = drawn or session.get(CanaryPackageRow, package.tree_hash)
        if known is None:
            session.add(
                CanaryPackageRow(
                    tree_hash=package.tree_hash,
                    item=item,
                    variant=variant,
                    label=package_label(item).verdict.value,
                    bank_sha256=bank_sha256(),
                    drawn_by=round_id,
                    made_at=utc_now(),
                )
            )
        elif (known.drawn_by, known.tree_hash) != (round_id, package.tree_hash):
            return []  # drawn from an earlier bank, or another round has called for the very same bytes
    with deployment.read_sessions() as session:
        if session.scalar(select(SubmissionRow.id).where(SubmissionRow.tree_hash == package.tree_hash).limit(1)):
            return []
    provenance = Provenance(SourceType.UPLOAD, package.source_name, None, _submitter(variant))
    return [submit(deployment, package, provenance, scheduled=True)]


def _submitter(variant: str) -> str:
    """A name as people give themselves one."""
    draws = Draws("submitter", variant)
    names = ("alex", "casey", "dana", "eli", "jamie", "kim", "lee", "morgan", "noa", "robin", "sam", "toni")
    return f"{draws.one_of(names)}{draws.below(1_000)}"
