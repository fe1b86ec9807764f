"""From a package that passed intake to a recorded submission, and back again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import select

from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.identifiers import new_submission_id
from sigma_core.lifecycle.beacon import next_beacon_round
from sigma_core.storage.blobs import ReadBlob
from sigma_core.storage.protocol import OutboxRow, SubmissionRow, ValidatorRow
from sigma_core.submissions.package import Package, PackageFile, ProductType, SourceType
from sigma_core.timestamps import utc_now

RECEIVED_TOPIC = "submission.received"


class SubmissionUnknown(SigmaError):
    """No submission has this id."""

    code = "SUBMISSION_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a package came from and who sent it. For GitHub, ``ref`` is the commit hash and ``url`` the repository; for an
    upload, ``ref`` is the file name and ``url`` is None. ``conflicts`` are operators of validators with an interest in the package, beside
    the submitter: nobody of theirs is drawn, and the seed covers who they are."""

    source_type: SourceType
    source_ref: str | None
    source_url: str | None
    submitter: str
    dev_notes: str = ""
    conflicts: tuple[str, ...] = ()


class OperatorUnknown(SigmaError):
    """A declared conflict with somebody who operates no validator here: a typing error would exclude nobody in silence."""

    code = "OPERATOR_UNKNOWN"


def submit(deployment: Deployment, package: Package, provenance: Provenance, *, scheduled: bool) -> str:
    """Record ``package`` and return its submission id.

    ``scheduled`` leaves it to the intake sensor to start its round; otherwise the caller runs the round itself. The
    submission is bound here to a beacon round whose value does not exist yet. Raises OperatorUnknown, Unavailable.
    """
    _refuse_unknown(deployment, provenance.conflicts)
    deployment.blobs.put_all(file.content for file in package.files)
    package_sha256 = deployment.blobs.put(
        canonical_json(
            {
                "schema": "sigma-package-v1",
                "files": package.tree,
                "manifest": dict(package.manifest),
                "productType": package.product_type.value,
                "sourceName": package.source_name,
            }
        )
    )
    now = utc_now()
    submission_id = new_submission_id(now)
    manifest = package.manifest
    with deployment.sessions.begin() as session:
        chain, beacon_round = next_beacon_round(deployment, session)
        session.add(
            SubmissionRow(
                id=submission_id,
                state="RECEIVED",
                name=str(manifest.get("name") or package.source_name)[:200],
                version=str(manifest["version"])[:64] if manifest.get("version") else None,
                description=str(manifest.get("description") or ""),
                product_type=package.product_type.value,
                source_type=provenance.source_type.value,
                source_ref=provenance.source_ref,
                source_url=provenance.source_url,
                source_name=package.source_name[:300],
                tree_hash=package.tree_hash,
                skill_hash=package.skill_hash,
                package_sha256=package_sha256,
                dev_notes=provenance.dev_notes,
                submitter=provenance.submitter,
                conflicts=sorted(set(provenance.conflicts)) or None,
                beacon_chain=chain,
                beacon_round=beacon_round,
                submitted_at=now,
            )
        )
        session.add(
            OutboxRow(
                topic=RECEIVED_TOPIC,
                subject=submission_id,
                detail={"scheduled": scheduled},
                created_at=now,
                handled_at=None if scheduled else now,
            )
        )
    return submission_id


def _refuse_unknown(deployment: Deployment, operators: Sequence[str]) -> None:
    if not operators:
        return
    with deployment.read_sessions() as session:
        known = set(session.scalars(select(ValidatorRow.operator).where(ValidatorRow.operator.in_(operators))))
    for operator in sorted(set(operators) - known):
        raise OperatorUnknown(
            f"conflict with {operator!r}: no validator here has that operator",
            hint="the public standing names each validator's operator (GET /api/v1/public/standing)",
        )


def load_submission(deployment: Deployment, submission_id: str) -> SubmissionRow:
    """The record. Raises SubmissionUnknown."""
    with deployment.read_sessions() as session:
        row = session.get(SubmissionRow, submission_id)
    if row is None:
        raise SubmissionUnknown(f"no submission has the id {submission_id!r}")
    return row


def load_package(deployment: Deployment, submission_id: str) -> Package:
    """The package of a submission, every member checked against its hash. Raises SubmissionUnknown or BlobCorrupt."""
    return package_of(deployment.blobs.get, load_submission(deployment, submission_id))


def package_of(read: ReadBlob, row: SubmissionRow) -> Package:
    """`load_package` of a submission whose record is at hand. Raises BlobMissing or BlobCorrupt."""
    document = orjson.loads(read(row.package_sha256))
    return Package(
        files=tuple(
            PackageFile(
                path=member["path"],
                content=read(member["sha256"]),
                sha256=member["sha256"],
                executable=member["executable"],
            )
            for member in document["files"]
        ),
        manifest=document["manifest"],
        product_type=ProductType(document["productType"]),
        source_name=document["sourceName"],
    )


def mark_scheduled_handled(deployment: Deployment, submission_ids: Sequence[str]) -> None:
    """Note that a run has taken these submissions up."""
    with deployment.sessions.begin() as session:
        for row in session.scalars(
            select(OutboxRow).where(
                OutboxRow.topic == RECEIVED_TOPIC,
                OutboxRow.subject.in_(submission_ids),
                OutboxRow.handled_at.is_(None),
            )
        ):
            row.handled_at = utc_now()
