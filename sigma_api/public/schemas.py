"""The answers of the public plane, described. Names fixed by spec/surfaces.md must stay as they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from sigma_api.public.flags import FlagReason
from sigma_api.wire import OpenWireModel, Sha256, UtcTime, WireModel
from sigma_core.assembly.commit_reveal import SeatStatus
from sigma_core.assembly.consensus import RoundOutcome, TruthSource, Vote
from sigma_core.certificates.explanations import Subject
from sigma_core.certificates.log.entry import StatusRole
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.sandbox.decision import Decision
from sigma_core.sandbox.facts import RiskLevel, SecurityLevel, Severity
from sigma_core.submissions.package import ProductType, SourceType


class CertificateSummary(WireModel):
    """A certificate in a list."""

    certificate_id: str
    status: CertificateStatus
    skill_name: str
    skill_version: str | None
    description: str
    product_type: ProductType
    skill_hash: Sha256 | None
    """SHA-256 of the LF-normalised SKILL.md; null for an API."""
    payload_hash: str
    submission_id: str
    round_id: str
    certificate_issued_at: UtcTime
    expires_at: UtcTime


class CertificatePage(WireModel):
    """One page of certificates, newest first."""

    items: list[CertificateSummary]
    next_cursor: str | None
    """Give it as `cursor` to get the next page; null on the last."""


class StoredSkill(CertificateSummary):
    """A certified skill in the feed for agents."""

    verify_url: str
    attestation_url: str
    certificate_url: str
    """The page for people."""
    badge_url: str


class SkillStore(WireModel):
    """One page of certified skills, newest first."""

    name: str
    guide: str
    """How to check a skill, as a skill."""
    skills: list[StoredSkill]
    next_cursor: str | None
    """Give it as `cursor` to get the next page; null on the last."""


class LandingCounts(WireModel):
    """How much there is."""

    certificates: int
    """Good now."""
    submissions: int
    rounds: int
    """Decided."""
    validators: int
    """Active."""


class Landing(WireModel):
    """What a front page shows."""

    counts: LandingCounts
    prices_from: str | None
    """Lowest price as decimal USDC; null where nothing is for sale."""
    recent: list[CertificateSummary]


class StatusListEntry(WireModel):
    """The bit that will show suspension and revocation."""

    uri: str
    index: int


class CertifiedFile(WireModel):
    """A file of the certified package."""

    path: str
    sha256: Sha256
    size: int
    executable: bool


class Source(WireModel):
    """Where the package came from: for GitHub commit and repository, for an upload its file name and null."""

    entry: str
    source_ref: str | None
    source_url: str | None
    source_type: SourceType


class ManifestSafety(WireModel):
    """What the author says the package needs."""

    network: Any
    filesystem: Any


class ExternalCall(WireModel):
    """A call that the author declared."""

    url: Any
    auth: Any
    method: Any
    reason: Any


class Manifest(WireModel):
    """What the author declared; never more."""

    safety: ManifestSafety
    capabilities: list[str]
    external_calls: list[ExternalCall]


class SourceFacts(OpenWireModel):
    """What the sandbox read from the source: counts, and one flag for each capability."""

    external_hosts: list[str]
    manifest_mismatch_count: int
    blocked: bool
    prompt_injection_signal_count: int
    real_secret_signal_count: int
    high_risk_signal_count: int


class SkippedEndpoint(OpenWireModel):
    """An endpoint that was not reviewed."""

    path: Any
    reason: str


class EndpointReview(OpenWireModel):
    """What was declared and observed of endpoints."""

    analyzed_at: UtcTime
    analysis_mode: str
    observed_urls: list[Any]
    observed_hosts: list[str]
    endpoint_status: str
    skipped_endpoints: list[SkippedEndpoint]
    declared_endpoints: list[Any]
    disclosure_warning: Any


class Review(WireModel):
    """What the sandbox concluded."""

    security_level: SecurityLevel
    sandbox_risk_level: RiskLevel
    retained_errors: list[Any]
    retained_warnings: list[Any]
    sandbox_analyzed_at: UtcTime


class Beacon(WireModel):
    """The public randomness that the panels were drawn with."""

    chain: str
    round: int
    value: str


class PhaseVotes(WireModel):
    """Votes of one phase, counted."""

    phase: int
    safe: int = Field(alias="SAFE")
    unsafe: int = Field(alias="UNSAFE")
    abstain: int = Field(alias="ABSTAIN")


class SealedPayload(WireModel):
    """The sealed payload: canonical JSON, hashed and signed at issue, and never changed since."""

    schema_: Literal["sigma-certificate-v1"] = Field(alias="schema")
    notice: str
    certificate_id: str
    status: RoundOutcome
    issued_at: UtcTime
    expires_at: UtcTime
    status_list: StatusListEntry | None
    submission_id: str
    product_type: ProductType
    skill_name: str
    skill_version: str | None
    skill_hash: Sha256 | None
    """SHA-256 of the LF-normalised SKILL.md; null for an API."""
    tree_hash: Sha256
    files: list[CertifiedFile]
    source_ref: str | None
    source_url: str | None
    source: Source
    dev_notes: str
    smart_contract: Any
    manifest: Manifest
    facts_sha256: Sha256
    rule_pack_hash: Sha256
    source_facts: SourceFacts
    endpoint_review: EndpointReview
    review: Review
    round_id: str
    round_number: int
    round_type: RoundType
    trigger_source: TriggerSource
    policy_hash: Sha256
    weights_epoch: int
    weights_merkle_root: Sha256
    beacon: Beacon
    votes: list[PhaseVotes]
    diversity_degraded: bool
    assurance_level: int
    """1: deterministic engines only; 2: mixed; 3: two or more families of language models."""
    n_eff_ppm: int
    """Effective number of independent votes, in millionths."""
    transparency_log: str | None = None
    """Origin of the public log that the certificate is in; absent from those from before there was a log."""


class OnChain(WireModel):
    """The commitment of the payload hash on chain."""

    network: str | None
    tx_hash: str | None
    explorer_url: str | None
    committed: bool
    code_version: str | None
    registry_address: str | None
    immutable_commitment_scope: str | None = None
    """What a commitment will cover; only while there is none."""


class VerifyAnswer(SealedPayload):
    """Every sealed field, with what is true of the certificate now. `status` is the status now."""

    status: CertificateStatus  # type: ignore[assignment]  # wider than the sealed one, which is statusAtIssue here
    status_at_issue: RoundOutcome
    valid: bool
    """Approved, not expired, not suspended, not revoked."""
    summary: str
    active_flag_count: int
    security_level: SecurityLevel
    sandbox_risk_level: RiskLevel
    retained_warnings: list[Any]
    endpoint_status: str
    certificate_issued_at: UtcTime
    api_disclaimer: str | None
    on_chain: OnChain
    signature: str
    """Ed25519 over the bundle's envelope, base64."""
    signature_key_id: str
    payload_hash: str
    payload_hash_label: str


class StatusChange(WireModel):
    """A change of a certificate's status, as the public log has it at entry `logIndex`."""

    certificate_id: str
    before: CertificateStatus
    after: CertificateStatus
    role: StatusRole
    actor: str
    reason: str
    at: UtcTime
    log_index: int


class Site(WireModel):
    """A domain that has shown a token of the package's publisher. It says who stands behind the package, not that it is harmless."""

    domain: str
    verified_at: UtcTime
    valid_until: UtcTime
    """It is asked every day, and counts for so long after it has last answered."""


class LiveStatus(WireModel):
    """What may change after issue."""

    certificate_id: str
    status: CertificateStatus
    valid: bool
    active_flag_count: int
    monitoring: Literal["NOT_APPLICABLE"] | None
    """`NOT_APPLICABLE` for a skill that has no API to watch; null while no live check has been made."""
    views: int | None
    """How often the certificate was read; null while nobody counts."""
    expires_at: UtcTime
    site: Site | None
    """The publisher's domain; null where none is verified."""
    status_change: StatusChange | None
    """The newest change after issue; null when there was none."""


class SeatFinding(WireModel):
    """A finding of one validator; `quote` stands verbatim at `file`, `lineStart` to `lineEnd`."""

    severity: Severity
    category: str
    file: str
    line_start: int
    line_end: int
    quote: str
    rationale: str
    confidence_ppm: int


class SeatVerdict(WireModel):
    """A seat of a panel and what its validator said."""

    seat: int
    validator_id: str
    operator: str
    family: str
    replaces: int | None
    """The seat whose validator abstained or did not come."""
    status: SeatStatus
    verdict: Vote | None
    score_ppm: int | None
    commitment: Sha256 | None
    revealed_at: UtcTime | None
    reason: str
    revision: str | None
    findings: list[SeatFinding]


class PhaseRecord(WireModel):
    """One panel, its seats in the order in which they were drawn."""

    phase: int
    seats: list[SeatVerdict]


class RoundReason(WireModel):
    """Why the round ended as it did."""

    code: str
    message: str
    detail: dict[str, Any]


class KnownTruth(WireModel):
    """What the package of a round was: by its outcome (without actor and reason), or said later by somebody. The last one counts."""

    number: int
    truth: Literal["SAFE", "UNSAFE"]
    truth_source: TruthSource
    actor: str | None
    reason: str | None
    known_at: UtcTime


class RoundOverride(WireModel):
    """What an operator decided beside the round's outcome, which stays as it is. The last one counts."""

    number: int
    outcome: Literal["APPROVED", "REJECTED"]
    actor: str
    reason: str
    overridden_at: UtcTime


class RoundRecord(WireModel):
    """A round. Its phases are public once it is decided."""

    round_id: str
    round_number: int
    round_type: RoundType
    trigger_source: TriggerSource
    state: Literal["OPEN", "PHASE_1", "PHASE_2", "PHASE_3", "DECIDED"]
    outcome: RoundOutcome | None
    with_rejection: bool
    reasons: list[RoundReason]
    policy_hash: Sha256
    facts_sha256: Sha256
    weights_epoch: int
    beacon: Beacon
    seed: Sha256
    assurance_level: int | None
    n_eff_ppm: int | None
    diversity_degraded: bool | None
    opened_at: UtcTime
    decided_at: UtcTime | None
    phases: list[PhaseRecord]
    truths: list[KnownTruth]
    overrides: list[RoundOverride]


class CertificateRecord(WireModel):
    """Everything on record about a certificate: what was sealed, and every round of its submission with its verdicts."""

    certificate_id: str
    status: CertificateStatus
    description: str
    payload_hash: str
    site: Site | None
    """The publisher's domain; null where none is verified. Not sealed."""
    payload: SealedPayload
    manifest: Manifest
    """The manifest of the payload."""
    rounds: list[RoundRecord]
    """First round first; the certified one is `payload.roundId`."""


class AttestationSignature(WireModel):
    """A DSSE signature."""

    keyid: str
    sig: str


class AttestationEnvelope(WireModel):
    """A DSSE envelope over an in-toto statement."""

    payload: str
    payload_type: str
    signatures: list[AttestationSignature]


class AttestationReplay(WireModel):
    """Which round to recompute."""

    round_id: str


class Attestation(WireModel):
    """The bundle: what `sigma verify` needs beside the public key."""

    media_type: str
    envelope: AttestationEnvelope
    payload_hash: str
    payload_hash_label: str
    replay: AttestationReplay
    log_proof: str | None = None
    """Inclusion proof with signed checkpoint (c2sp.org/tlog-proof@v1); absent when the certificate names no log."""


class ReplayDocument(OpenWireModel):
    """Everything needed to recompute a round: `sigma replay` reads it."""


class SourceIntegrity(WireModel):
    """What the certified SKILL.md hashes to, and where it came from."""

    certificate_id: str
    skill_hash: Sha256
    algorithm: Literal["SHA-256"]
    normalization: Literal["LF"]
    """CRLF and lone CR are turned into LF before hashing."""
    tree_hash: Sha256
    """Identity of all certified files."""
    source: Source


# For readers of the document only: `sigma_api.public.source` takes these forms, and says which rule another one breaks.
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/\.?[A-Za-z0-9_-][A-Za-z0-9._-]{0,98}"
_REF = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_ESCAPE = "%(2[0-9A-Da-d]|[346][0-9A-Fa-f]|5[0-9ABD-Fabd-f]|7[0-9A-Ea-e])"
_PATH = rf'(/\.?([ !"$&-\-0->@-\[\]-~]|{_ESCAPE})([ !"$&-.0->@-\[\]-~]|{_ESCAPE})*)'
GITHUB_URL = (
    rf"^https://((www\.)?github\.com/{_REPOSITORY}(/(tree|blob)/{_REF}{_PATH}*)?"
    rf"|raw\.githubusercontent\.com/{_REPOSITORY}/{_REF}{_PATH}+)/*([?#][ -\[\]-~]*)?$"
)
GITHUB_REF = rf"^{_REF}(/\.?[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*$"


class GithubSource(WireModel):
    """A public SKILL.md on GitHub."""

    source_url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=600),
        Field(json_schema_extra={"pattern": GITHUB_URL}),
    ]
    """A repository, a folder in it (`/tree/<ref>/…`), or the file itself."""
    source_ref: (
        Annotated[
            str, StringConstraints(min_length=1, max_length=200), Field(json_schema_extra={"pattern": GITHUB_REF})
        ]
        | None
    ) = None
    """Branch, tag or commit; replaces the one in the URL."""


class FetchedSource(WireModel):
    """What was fetched."""

    url: str
    ref: str


class Comparison(WireModel):
    """Whether a SKILL.md is the certified one."""

    certificate_id: str
    matches: bool
    certified_hash: Sha256
    found_hash: Sha256
    bytes: int
    """Of what was compared."""
    fetched: FetchedSource | None
    """Null for an upload."""


# What people may write: any letters, lines and tabs, no other control characters, and not spaces only.
_PLAIN = StringConstraints(
    min_length=1, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*[^\x00-\x08\x0b-\x1f\x7f\s][^\x00-\x08\x0b-\x1f\x7f]*$"
)
_STRIPPED = AfterValidator(str.strip)


class Flag(WireModel):
    """A flag on a certificate."""

    reason: FlagReason
    detail: Annotated[str, _PLAIN, StringConstraints(max_length=2_000), _STRIPPED]
    """What you saw, and how to see it again."""
    contact: Annotated[str, _PLAIN, StringConstraints(max_length=254), _STRIPPED] | None = None
    """Where people may ask you; never published."""


class FlagReceipt(WireModel):
    """A flag that was taken."""

    certificate_id: str
    reason: FlagReason
    flagged_at: UtcTime
    known: bool
    """You had raised it before."""
    active_flag_count: int


class DryRunFinding(OpenWireModel):
    """A fact that a rule reports."""

    rule_id: str
    severity: Severity
    category: str
    title: str
    file: str
    line_start: int
    line_end: int


class DryRun(WireModel):
    """What intake and the sandbox say of a package, before anybody has voted; `sigma validate --json` says the same."""

    name: str
    version: str | None
    product_type: ProductType
    decision: Decision
    """`block`: no votes could certify it."""
    security_level: SecurityLevel
    sandbox_risk_level: RiskLevel
    coverage_complete: bool
    """False when something in the package could not be read."""
    blocking_signals: list[dict[str, Any]]
    findings: list[DryRunFinding]
    capabilities: list[str]
    declared: dict[str, Any]
    incidents: list[dict[str, Any]]
    suppressions: None
    evidence: list[dict[str, Any]]
    facts_sha256: Sha256
    tree_hash: Sha256
    skill_hash: Sha256 | None
    rule_pack_hash: Sha256
    policy_hash: Sha256


CODE_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"


class Explanation(WireModel):
    """One meaning of a code."""

    code: str
    subject: Subject
    """What the code is said of."""
    meaning: str
    advice: str
    """What to do about it; may be empty."""


class Explanations(WireModel):
    """Every meaning of a code."""

    meanings: list[Explanation]
