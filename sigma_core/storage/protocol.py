"""Tables of the protocol database: what people and agents did, and what the assembly made of it.

Rows are keyed by (submission, round, stage), so that writing a stage again changes nothing. Documents that are hashed
(facts, verdicts, policies, snapshots, bundles) are blobs; a column ``…_sha256`` names them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sigma_core.storage.types import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

Digest = String(64)
Identifier = String(64)
# SQLite gives an autoincrement only to INTEGER, which is 64 bits there anyway.
Serial = BigInteger().with_variant(Integer, "sqlite")


class ProtocolBase(DeclarativeBase):
    """Base of the protocol tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class PolicyRow(ProtocolBase):
    """A policy that shaped some result, kept by its hash."""

    __tablename__ = "policies"
    hash: Mapped[str] = mapped_column(Digest, primary_key=True)
    version: Mapped[str] = mapped_column(String(64))
    first_used_at: Mapped[datetime]


class SubmissionRow(ProtocolBase):
    """A submitted package: one Dagster partition."""

    __tablename__ = "submissions"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))  # RECEIVED APPROVED REJECTED ESCALATED
    name: Mapped[str] = mapped_column(String(200))
    version: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(Text)
    product_type: Mapped[str] = mapped_column(String(16))
    source_type: Mapped[str] = mapped_column(String(16))
    source_ref: Mapped[str | None] = mapped_column(String(300))
    source_url: Mapped[str | None] = mapped_column(String(500))
    source_name: Mapped[str] = mapped_column(String(300))
    tree_hash: Mapped[str] = mapped_column(Digest)
    skill_hash: Mapped[str | None] = mapped_column(Digest)
    package_sha256: Mapped[str] = mapped_column(Digest)  # the package document: tree, manifest, product type
    dev_notes: Mapped[str] = mapped_column(Text, default="")
    submitter: Mapped[str] = mapped_column(String(120))
    conflicts: Mapped[list[str] | None] = mapped_column(
        JSON
    )  # operators that were declared to have an interest, sorted
    beacon_chain: Mapped[str] = mapped_column(Digest)
    beacon_round: Mapped[int]
    submitted_at: Mapped[datetime]

    __table_args__ = (Index(None, "submitted_at", "id"), Index(None, "skill_hash"), Index(None, "tree_hash"))


class BeaconChainRow(ProtocolBase):
    """A beacon chain of this deployment: its public anchor, and how far it has been revealed."""

    __tablename__ = "beacon_chains"
    anchor: Mapped[str] = mapped_column(Digest, primary_key=True)
    length: Mapped[int]
    revealed_round: Mapped[int]  # 0 = nothing yet; a submission is bound to the round after this one
    created_at: Mapped[datetime]


class BeaconValueRow(ProtocolBase):
    """A revealed beacon round."""

    __tablename__ = "beacon_values"
    chain: Mapped[str] = mapped_column(ForeignKey("beacon_chains.anchor"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(Digest)
    revealed_at: Mapped[datetime]


class DrandChainRow(ProtocolBase):
    """A drand network that submissions were bound to, by its chain hash: `DrandChain.as_json`."""

    __tablename__ = "drand_chains"
    id: Mapped[str] = mapped_column(Digest, primary_key=True)
    description: Mapped[dict[str, Any]]
    first_used_at: Mapped[datetime]


class DrandRoundRow(ProtocolBase):
    """A drand round that a panel was drawn from, verified before it was kept. The relay's answer is the blob ``answer_sha256``."""

    __tablename__ = "drand_rounds"
    chain: Mapped[str] = mapped_column(ForeignKey("drand_chains.id"), primary_key=True)
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(Digest)
    signature: Mapped[str] = mapped_column(String(96))
    relay: Mapped[str] = mapped_column(String(500))
    answer_sha256: Mapped[str] = mapped_column(Digest)
    fetched_at: Mapped[datetime]


class OutboxRow(ProtocolBase):
    """A message to a background worker, written in the transaction that caused it; done when ``handled_at`` is set."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    topic: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Identifier)
    detail: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("topic", "subject"), Index(None, "handled_at", "topic", "id"))


class FactsRow(ProtocolBase):
    """A facts document derived for a submission."""

    __tablename__ = "facts"
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(Digest, primary_key=True)
    rule_pack_hash: Mapped[str] = mapped_column(Digest)
    policy_hash: Mapped[str] = mapped_column(Digest)
    complete: Mapped[bool]
    sandbox_risk_level: Mapped[str] = mapped_column(String(16))
    security_level: Mapped[str] = mapped_column(String(16))
    fact_count: Mapped[int]
    blocking_count: Mapped[int]
    derived_at: Mapped[datetime]


class ValidatorRow(ProtocolBase):
    """A validator: an operator's engine of one family, with its stake and its declared parameters."""

    __tablename__ = "validators"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    operator: Mapped[str] = mapped_column(String(64))
    family: Mapped[str] = mapped_column(String(40))
    parameters: Mapped[dict[str, Any]]
    stake_micro_usd: Mapped[int] = mapped_column(BigInteger)
    tier_ppm: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))  # ACTIVE SUSPENDED RESTING
    joined_at: Mapped[datetime]


class WeightEpochRow(ProtocolBase):
    """A published weights snapshot. The snapshot document (rows, policy, day) is the blob ``snapshot_sha256``."""

    __tablename__ = "weight_epochs"
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[int]
    policy_hash: Mapped[str] = mapped_column(Digest)
    inputs_sha256: Mapped[str] = mapped_column(Digest)  # what it was once it may be again: a suspension and its end
    accuracy_high_water: Mapped[int] = mapped_column(BigInteger)
    reputation_high_water: Mapped[int] = mapped_column(BigInteger)
    merkle_root: Mapped[str] = mapped_column(Digest)
    total_weight: Mapped[int] = mapped_column(BigInteger)
    validator_count: Mapped[int]
    snapshot_sha256: Mapped[str] = mapped_column(Digest)
    published_at: Mapped[datetime]


class RoundRow(ProtocolBase):
    """One complete assembly on one submission. Never overwritten once decided: a re-run is the next number."""

    __tablename__ = "rounds"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    number: Mapped[int]
    run_key: Mapped[str] = mapped_column(Identifier)  # the Dagster root run: its retry resumes, another is a new round
    round_type: Mapped[str] = mapped_column(String(20))
    trigger_source: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))  # OPEN PHASE_1 PHASE_2 PHASE_3 DECIDED
    facts_sha256: Mapped[str] = mapped_column(Digest)
    policy_hash: Mapped[str] = mapped_column(Digest)
    weights_epoch: Mapped[int] = mapped_column(ForeignKey("weight_epochs.epoch"))
    beacon_chain: Mapped[str] = mapped_column(Digest)
    beacon_round: Mapped[int]
    beacon_value: Mapped[str] = mapped_column(String(400))
    seed: Mapped[str] = mapped_column(Digest)
    outcome: Mapped[str | None] = mapped_column(String(16))
    with_rejection: Mapped[bool | None]
    scored: Mapped[bool | None]
    truth: Mapped[str | None] = mapped_column(String(16))
    truth_source: Mapped[str | None] = mapped_column(String(32))
    reasons: Mapped[list[Any]]
    n_eff_ppm: Mapped[int | None]
    assurance_level: Mapped[int | None]
    diversity_degraded: Mapped[bool | None]
    disabled_families: Mapped[
        list[Any] | None
    ]  # of the policy's ladder: [{family, reason}], when the round was decided
    calibration_sha256: Mapped[str | None] = mapped_column(Digest)  # `Calibration.hash`: what n_eff was computed from
    replay_sha256: Mapped[str | None] = mapped_column(Digest)
    opened_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("submission_id", "number"), UniqueConstraint("submission_id", "run_key"))


class RoundRequestRow(ProtocolBase):
    """A round that somebody asked for, and the round that came of it: one at most. Only what asked for it is told here."""

    __tablename__ = "round_requests"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    request_key: Mapped[str] = mapped_column(String(160), unique=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    round_type: Mapped[str] = mapped_column(String(20))
    trigger_source: Mapped[str] = mapped_column(String(16))
    appeal_of: Mapped[str | None] = mapped_column(ForeignKey("rounds.id"))
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(120))
    requested_at: Mapped[datetime]
    round_id: Mapped[str | None] = mapped_column(ForeignKey("rounds.id"), unique=True)

    __table_args__ = (Index(None, "submission_id"),)


class PhaseRow(ProtocolBase):
    """A phase of a round from the draw of its panel to its closing. Rounds from before there were deadlines have none."""

    __tablename__ = "phases"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_ticket: Mapped[int]  # where a redraw goes on
    relaxations: Mapped[list[Any]]
    redraws: Mapped[list[Any]]  # the vacant seats of each redraw
    opened_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]  # no engine could be asked: when to try again
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(16))  # COMPLETE DEADLINE


class RoundBindingRow(ProtocolBase):
    """What a re-run was bound to before anyone could draw its panels; published as log entry ``log_index``. Each must be opened
    before the submission is bound again."""

    __tablename__ = "round_bindings"
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    beacon_chain: Mapped[str] = mapped_column(Digest)
    beacon_round: Mapped[int]
    weights_epoch: Mapped[int] = mapped_column(ForeignKey("weight_epochs.epoch"))
    log_index: Mapped[int] = mapped_column(ForeignKey("log_entries.index"))
    bound_at: Mapped[datetime]


class RoundResolutionRow(ProtocolBase):
    """A truth that became known after a round's outcome, and by whom. Append-only: a correction is the next number.

    ``number`` counts the truths that the round has had: 0 where the outcome itself had none, else from 1.
    """

    __tablename__ = "round_resolutions"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    truth: Mapped[str] = mapped_column(String(16))  # SAFE UNSAFE
    truth_source: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str] = mapped_column(Text)
    resolved_at: Mapped[datetime]


class RoundOverrideRow(ProtocolBase):
    """What an operator decided about a round beside its outcome, which stays. Append-only: the highest number, from 1, counts."""

    __tablename__ = "round_overrides"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str] = mapped_column(String(16))  # APPROVED REJECTED
    actor: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str] = mapped_column(Text)
    overridden_at: Mapped[datetime]


class SeatRow(ProtocolBase):
    """A drawn seat of a round: who, by which ticket, what was committed and revealed."""

    __tablename__ = "seats"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    operator: Mapped[str] = mapped_column(String(64))
    family: Mapped[str] = mapped_column(String(40))
    ticket_index: Mapped[int]
    replaces: Mapped[int | None]
    relaxations: Mapped[list[Any]]
    status: Mapped[str] = mapped_column(String(16))  # PENDING COMMITTED REVEALED ABSTAINED NO_SHOW REMOVED
    verdict: Mapped[str | None] = mapped_column(String(16))
    commitment: Mapped[str | None] = mapped_column(Digest)
    salt: Mapped[str | None] = mapped_column(Digest)
    result_sha256: Mapped[str | None] = mapped_column(Digest)
    score_ppm: Mapped[int | None]
    finding_count: Mapped[int]
    revealed_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "validator_id"),)


class PlantedCanaryRow(ProtocolBase):
    """A file that was planted into the view of a seat, and what its validator said of it."""

    __tablename__ = "planted_canaries"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seat_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    family: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(200))
    file_sha256: Mapped[str] = mapped_column(Digest)
    result_sha256: Mapped[str] = mapped_column(Digest)
    answer: Mapped[str] = mapped_column(String(8))  # CAUGHT MISSED UNCLEAR

    __table_args__ = (Index(None, "validator_id"),)


class CanaryPackageRow(ProtocolBase):
    """A package of the bank that was submitted like any other. It is written before its submission: no round can meet its bytes and
    not know. Nothing of it is public before a round on them is decided."""

    __tablename__ = "canary_packages"
    tree_hash: Mapped[str] = mapped_column(Digest, primary_key=True)
    item: Mapped[str] = mapped_column(String(8))
    variant: Mapped[str] = mapped_column(Digest)
    label: Mapped[str] = mapped_column(String(16))  # SAFE UNSAFE
    bank_sha256: Mapped[str] = mapped_column(Digest)
    drawn_by: Mapped[str] = mapped_column(ForeignKey("rounds.id"), unique=True)  # the round whose beacon called for it
    made_at: Mapped[datetime]


class ModelMeasurementRow(ProtocolBase):
    """What a language model did on labelled packages: the tier it is of, whatever the ladder calls it. Append-only."""

    __tablename__ = "model_measurements"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    family: Mapped[str] = mapped_column(String(40))
    ladder_tier: Mapped[int]
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(80))
    revision: Mapped[str] = mapped_column(String(200))
    bank_sha256: Mapped[str] = mapped_column(Digest)
    policy_hash: Mapped[str] = mapped_column(Digest)
    malicious: Mapped[int]
    caught: Mapped[int]
    benign: Mapped[int]
    passed: Mapped[int]
    abstained: Mapped[int]
    measured_tier: Mapped[int]  # 0 = below every bar
    report_sha256: Mapped[str] = mapped_column(Digest)  # each package's verdict
    measured_at: Mapped[datetime]

    __table_args__ = (Index(None, "family", "ladder_tier", "id"),)


class ErrorCorrelationRow(ProtocolBase):
    """How the errors of engines went together when the ladder was measured: the blob ``document_sha256``. Append-only."""

    __tablename__ = "error_correlations"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    bank_sha256: Mapped[str] = mapped_column(Digest)
    policy_hash: Mapped[str] = mapped_column(Digest)
    document_sha256: Mapped[str] = mapped_column(Digest)
    measured_at: Mapped[datetime]


class PluginRow(ProtocolBase):
    """A plugin as its author wrote it; the body is the blob ``body_sha256``."""

    __tablename__ = "plugins"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner: Mapped[str] = mapped_column(Identifier)
    name: Mapped[str] = mapped_column(String(120))
    plugin_type: Mapped[str] = mapped_column(String(24))  # SIGMA_SKILL SIGMA_API SIGMA_SKILL_AND_API
    state: Mapped[str] = mapped_column(String(16))  # PENDING_REVIEW APPROVED REJECTED SUSPENDED
    body_sha256: Mapped[str] = mapped_column(Digest)
    created_at: Mapped[datetime]


class PluginSlotRow(ProtocolBase):
    """A plugin in one of a validator's slots."""

    __tablename__ = "plugin_slots"
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    plugin_id: Mapped[str] = mapped_column(ForeignKey("plugins.id"))
    slotted_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("validator_id", "plugin_id"),)


class PluginUsageRow(ProtocolBase):
    """A plugin that was in a seat's prompt: one row, however many surfaces it spoke about. The public count is of these rows."""

    __tablename__ = "plugin_usages"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seat_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    plugin_id: Mapped[str] = mapped_column(ForeignKey("plugins.id"), primary_key=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    plugin_type: Mapped[str] = mapped_column(String(24))
    product_type: Mapped[str] = mapped_column(String(16))
    slot: Mapped[int]
    body_sha256: Mapped[str] = mapped_column(Digest)
    verdict: Mapped[str] = mapped_column(String(16))
    used_at: Mapped[datetime]

    __table_args__ = (Index(None, "plugin_id"),)


class ValidatorSkillRow(ProtocolBase):
    """A skill that a validator holds from before there were plugins; the body is the blob ``body_sha256``."""

    __tablename__ = "validator_skills"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    name: Mapped[str] = mapped_column(String(120))
    body_sha256: Mapped[str] = mapped_column(Digest)

    __table_args__ = (Index(None, "validator_id"),)


class ValidatorSkillUsageRow(ProtocolBase):
    """Such a skill in a seat's prompt. Counted here and never with the plugins."""

    __tablename__ = "validator_skill_usages"
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seat_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    skill_id: Mapped[str] = mapped_column(ForeignKey("validator_skills.id"), primary_key=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    used_at: Mapped[datetime]


class AccuracyEntryRow(ProtocolBase):
    """One line of the accuracy ledger, in units of 2^-10 point. Append-only: a correction is another line."""

    __tablename__ = "accuracy_ledger"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    entry_key: Mapped[str] = mapped_column(String(160), unique=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"))
    seat: Mapped[str] = mapped_column(String(16))
    day: Mapped[int]
    aligned_q10: Mapped[int]
    misaligned_q10: Mapped[int]
    reason: Mapped[str] = mapped_column(String(40))
    truth_source: Mapped[str] = mapped_column(String(32))
    policy_hash: Mapped[str] = mapped_column(Digest)


class ReputationEntryRow(ProtocolBase):
    """One event of the reputation ledger. Append-only."""

    __tablename__ = "reputation_ledger"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    entry_key: Mapped[str] = mapped_column(String(160), unique=True)
    validator_id: Mapped[str] = mapped_column(ForeignKey("validators.id"))
    round_id: Mapped[str | None] = mapped_column(ForeignKey("rounds.id"))
    day: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]]
    policy_hash: Mapped[str] = mapped_column(Digest)


class PayoutEntryRow(ProtocolBase):
    """One line of the payout ledger, in micro-USD; a round's lines sum to zero. Append-only: a reversal is another line."""

    __tablename__ = "payout_ledger"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    entry_key: Mapped[str] = mapped_column(String(160), unique=True)
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"))
    validator_id: Mapped[str | None] = mapped_column(ForeignKey("validators.id"))  # none: budget and reserve
    day: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))  # BUDGET FORFEIT PAYOUT RESERVE REVERSAL
    amount_micro_usd: Mapped[int] = mapped_column(BigInteger)
    policy_hash: Mapped[str] = mapped_column(Digest)

    __table_args__ = (Index(None, "round_id"),)


class CertificateRow(ProtocolBase):
    """A sealed certificate. The payload never changes; ``status`` is what may change after issue."""

    __tablename__ = "certificates"
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    round_id: Mapped[str] = mapped_column(ForeignKey("rounds.id"), unique=True)
    status: Mapped[str] = mapped_column(String(16))
    skill_name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    payload_hash: Mapped[str] = mapped_column(String(66))
    bundle_sha256: Mapped[str] = mapped_column(Digest)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "issued_at", "id"),)


class FlagRow(ProtocolBase):
    """A stranger's flag on a certificate. ``reporter`` is a keyed hash of where it came from; open until an operator closes it."""

    __tablename__ = "flags"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificates.id"))
    reason: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    contact: Mapped[str | None] = mapped_column(String(254))
    reporter: Mapped[str] = mapped_column(Digest)
    flagged_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("certificate_id", "reporter", "reason"),)


class SiteClaimRow(ProtocolBase):
    """A publisher's word that a domain is theirs, and whether the domain has borne it out; one for each submission.

    PENDING until ``valid_until``, by when the domain must have shown the token; then VERIFIED until ``valid_until``, which every
    check that succeeds moves on.
    """

    __tablename__ = "site_claims"
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    domain: Mapped[str] = mapped_column(String(253))
    token: Mapped[str] = mapped_column(Digest)
    state: Mapped[str] = mapped_column(String(16))
    claimed_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(String(64))  # code of the last check's failure
    valid_until: Mapped[datetime]


class StatusPositionRow(ProtocolBase):
    """Which entry of the status lists is a certificate's: positions count through the lists, each certificate has one."""

    __tablename__ = "status_positions"
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    certificate_id: Mapped[str] = mapped_column(Identifier, unique=True)  # the row comes before the certificate


class LogEntryRow(ProtocolBase):
    """An entry of the transparency log, in order and without gaps: the truth that the log's files are made from. Append-only."""

    __tablename__ = "log_entries"
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(16))  # of EntryKind
    subject: Mapped[str] = mapped_column(Identifier)
    entry: Mapped[bytes]
    sealed_sha256: Mapped[str | None] = mapped_column(Digest)  # of a certificate: its bundle, still without the proof
    appended_at: Mapped[datetime]

    __table_args__ = (Index(None, "subject", "kind", "index"),)


class LogCheckpointRow(ProtocolBase):
    """A checkpoint that the log has signed, with the cosignatures that it got. No size is ever signed twice."""

    __tablename__ = "log_checkpoints"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[str] = mapped_column(Digest)
    note: Mapped[bytes]
    signed_at: Mapped[datetime]


class StageFailureRow(ProtocolBase):
    """A submission that failed one stage of a batched run; it gets a run of its own, so that it shows as failed."""

    __tablename__ = "stage_failures"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    stage: Mapped[str] = mapped_column(String(40))
    run_key: Mapped[str] = mapped_column(Identifier)
    error: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("submission_id", "stage", "run_key"),)


class AuditTrailRow(ProtocolBase):
    """Who changed what, why, before and after. Append-only."""

    __tablename__ = "audit_trail"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    actor: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(Identifier)
    reason: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    at: Mapped[datetime]
