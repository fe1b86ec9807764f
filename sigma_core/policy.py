"""Deployment policy: every value that shapes a result, typed, in one file, with a hash.

The file is ``policy.toml`` beside this module, or the one that ``SIGMA_POLICY_FILE`` names. Whatever a policy shaped
(facts, a round, a ledger entry, a weight, a certificate) carries `Policy.hash`, and the policy itself is kept by that
hash, so that an old result can be recomputed exactly.
"""

from __future__ import annotations

import json
import tomllib
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sigma_core.canonical import MAX_SAFE_INTEGER, canonical_json, sha256_hex
from sigma_core.errors import SigmaError

PPM = 1_000_000
Q10 = 1 << 10
"""Ledger points are integers in units of 2^-10 point."""

DEFAULT_POLICY_FILE = Path(__file__).with_name("policy.toml")

Count = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
Positive = Annotated[int, Field(ge=1, le=MAX_SAFE_INTEGER)]
Ppm = Annotated[int, Field(ge=0, le=PPM)]
Relaxation = Literal["reuse_phase_one_families", "family_cap", "operator_twice"]


class PolicyError(SigmaError):
    """A policy file that cannot be read or breaks a rule; names the value and the rule."""

    code = "POLICY_INVALID"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PackageLimits(_Section):
    """What a submitted package may be at most (bytes and counts)."""

    max_files: Positive
    max_total_bytes: Positive
    max_file_bytes: Positive
    max_path_bytes: Positive
    max_path_depth: Positive
    max_archive_bytes: Positive
    max_expansion_ratio: Positive
    max_archive_depth: Count
    max_manifest_bytes: Positive
    max_manifest_depth: Positive
    max_manifest_nodes: Positive


class SandboxBudgets(_Section):
    """Budgets in counted work (bytes looked at), never in seconds, so that the same bytes give the same facts."""

    work_units_per_file: Positive
    work_units_per_package: Positive
    max_layer_depth: Positive
    max_layers_per_file: Positive
    max_findings_per_rule_and_file: Positive
    max_excerpt_characters: Positive


class AssemblyRules(_Section):
    """Panels: seats, quorum, caps, the order in which they relax, and when votes reject."""

    seats_per_phase: Positive
    quorum_per_phase: Positive
    max_seats_per_family: Positive
    max_draw_attempts: Positive
    relaxation_order: tuple[Relaxation, ...]
    near_equal_weight_ppm: Ppm
    abstain_redraws: Count
    unsafe_votes_to_reject: Positive
    third_panel: bool
    third_panel_seats: Positive
    # Defaults, so that a policy written before them means what it meant to a replay, which has no clock.
    phase_deadline_seconds: Positive = 1_800
    reveal_deadline_seconds: Positive = 600
    waiting_retry_seconds: Positive = 300
    stalled_resumptions: Count = 3

    @model_validator(mode="after")
    def _quorum_fits(self) -> Self:
        if self.quorum_per_phase > self.seats_per_phase:
            raise ValueError("quorum_per_phase is larger than seats_per_phase")
        if self.unsafe_votes_to_reject > 2 * self.seats_per_phase:
            raise ValueError("unsafe_votes_to_reject is larger than both panels together")
        if 2 * self.unsafe_votes_to_reject <= 2 * self.seats_per_phase:
            raise ValueError("unsafe_votes_to_reject must be a majority of both panels")
        if len(set(self.relaxation_order)) != len(self.relaxation_order):
            raise ValueError("relaxation_order names a relaxation twice")
        return self


class DrandNetwork(_Section):
    """The public description of a drand network. ``chain_hash`` names it and follows from the rest; times in seconds, genesis since
    1970 UTC."""

    chain_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    public_key: Annotated[str, Field(pattern="^[0-9a-f]{192}$")]
    period_seconds: Annotated[int, Field(ge=1, le=86_400)]
    genesis_time: Positive
    group_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    beacon_id: Annotated[str, Field(min_length=1, max_length=64)]


class BeaconRules(_Section):
    """What is drawn from when the settings say ``SIGMA_BEACON=drand``. Both have defaults, so that a policy written before them means
    what it meant."""

    max_clock_skew_seconds: Annotated[int, Field(ge=0, le=3_600)] = 6
    drand: DrandNetwork | None = None


class IndependenceRules(_Section):
    """When a measured error correlation of a language-model family with another counts, and against how much of a prior."""

    min_common_votes: Positive = 40
    prior_votes: Count = 40


class AuditRules(_Section):
    """Bounds of one validator's verdict."""

    max_findings_per_verdict: Positive
    min_quote_characters: Positive
    max_quote_characters: Positive

    @model_validator(mode="after")
    def _quotes_in_order(self) -> Self:
        if self.min_quote_characters > self.max_quote_characters:
            raise ValueError("min_quote_characters is larger than max_quote_characters")
        return self


class StandingRules(_Section):
    """Points, decay, reputation and weight. q10 = units of 2^-10 point; ppm = parts per million."""

    points_q10: Positive
    min_multiplier_q10: Positive
    max_multiplier_q10: Positive
    base_rate_prior: Positive
    base_rate_trailing_days: Positive
    seat_tax_q10: Count
    no_show_q10: Count
    factor_certificate_q10: Count
    factor_canary_q10: Count
    factor_monitoring_q10: Count
    half_life_days: Positive
    decay_bits: Annotated[int, Field(ge=1, le=30)]  # (A·D >> bits) stays in 64 bits only up to here
    decay_per_day: Positive
    accuracy_prior_points: Positive
    reputation_start_ppm: Ppm
    reputation_constructive_ppm: Ppm
    reputation_bad_ppm: Ppm
    reputation_idle_half_life_days: Positive
    reputation_idle_keep_per_day: Positive
    stake_cap_micro_usd: Positive
    accuracy_floor_ppm: Ppm
    reputation_offset_ppm: Ppm
    plugin_bonus_cap_ppm: Ppm
    in_world_bonus_cap_ppm: Ppm
    operator_cap_ppm: Ppm
    operator_cap_small_pool_multiple: Positive
    protocol_token_micro_usd: Count
    # Off by default, so that a policy written before them means what it meant (docs/simulation says what they do).
    missed_unsafe_q10: Annotated[int, Field(ge=Q10, le=16 * Q10)] = (
        Q10  # factor on points against a SAFE vote on UNSAFE
    )
    joint_error_q10: Annotated[int, Field(ge=0, le=Q10)] = 0  # for each other seat that was wrong in the same way

    @model_validator(mode="after")
    def _multipliers_in_order(self) -> Self:
        if self.min_multiplier_q10 > self.max_multiplier_q10:
            raise ValueError("min_multiplier_q10 is larger than max_multiplier_q10")
        return self

    @model_validator(mode="after")
    def _decay_matches_half_life(self) -> Self:
        for name, written, days in (
            ("decay_per_day", self.decay_per_day, self.half_life_days),
            ("reputation_idle_keep_per_day", self.reputation_idle_keep_per_day, self.reputation_idle_half_life_days),
        ):
            expected = half_life_factor(days, self.decay_bits)
            if written != expected:
                raise ValueError(f"{name} is {written}, but a half-life of {days} days makes it {expected}")
        return self


class MonitoringRules(_Section):
    """Monitoring assemblies: seats and how a confirmed case's budget is split (ppm, sums to one)."""

    seats: Positive
    split_detector_ppm: Ppm
    split_confirming_ppm: Ppm
    split_reserve_ppm: Ppm

    @model_validator(mode="after")
    def _splits_add_up(self) -> Self:
        if self.split_detector_ppm + self.split_confirming_ppm + self.split_reserve_ppm != PPM:
            raise ValueError("the three splits must add up to 1,000,000 ppm")
        return self


class PayoutRules(_Section):
    """What a resolved round pays (micro-USD). Every value has a default, so that a policy written before payouts means no money."""

    round_budget_micro_usd: Count = 0
    micro_usd_per_point: Count = 0
    seat_bond_micro_usd: Count = 0


class CertificateRules(_Section):
    """How long a certificate is good for, and how long what is said about its status may be relied on."""

    validity_days: Positive
    status_list_validity_hours: Positive
    status_list_ttl_seconds: Annotated[int, Field(ge=1, le=7 * 86_400)]


class PopulationRules(_Section):
    """The validators that an embedded deployment starts with."""

    seed: str
    operators: Positive
    validators_per_operator: Positive


Provider = Literal["openai", "anthropic", "openrouter", "vllm", "ollama"]
ModelTier = Annotated[int, Field(ge=1, le=9)]


class Rung(_Section):
    """One step of the model ladder: which model a family's validators of a tier ask, and through which provider."""

    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    tier: ModelTier
    provider: Provider
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,79}$")]


class TierBar(_Section):
    """What a model must be measured to do on the canaries before it counts as one of this tier, and what that tier weighs
    (ppm; 1,000,000 = the ordinary tier). The bars are held against the lower end of the 95 % Wilson interval."""

    tier: ModelTier
    min_sensitivity_ppm: Ppm
    min_specificity_ppm: Ppm
    weight_ppm: Positive


class LanguageModelRules(_Section):
    """Language-model families: the ladder, what a prompt holds, how calls are made, what they may cost (micro-USD).

    Every value has a default, and the default ladder is empty, so that a policy written before there were such families means
    what it meant.
    """

    chunk_characters: Annotated[int, Field(ge=16_000, le=4_000_000)] = 120_000
    overlap_lines: Count = 40
    max_chunks: Positive = 24
    max_facts: Count = 200
    max_output_tokens: Positive = 8_000
    max_response_bytes: Positive = 1_048_576
    repairs: Annotated[int, Field(ge=0, le=1)] = 1
    plugin_characters: Positive = 2_000
    plugins_characters: Positive = 6_000
    attempts_per_call: Annotated[int, Field(ge=1, le=16)] = 4
    attempt_deadline_ms: Positive = 90_000
    call_deadline_ms: Positive = 240_000
    backoff_base_ms: Positive = 500
    backoff_cap_ms: Positive = 20_000
    retry_after_cap_ms: Positive = 60_000
    breaker_failures: Positive = 5
    breaker_open_ms: Positive = 30_000
    hedge_after_calls: Count = 20
    calls_at_once: Positive = 16
    requests_per_minute: Positive = 600
    tokens_per_minute: Positive = 2_000_000
    round_budget_micro_usd: Count = 3_000_000
    day_budget_micro_usd: Count = 100_000_000
    unpriced_call_micro_usd: Count = 250_000
    validators_per_family: Positive = 24
    tiers: tuple[TierBar, ...] = ()
    ladder: tuple[Rung, ...] = ()

    @model_validator(mode="after")
    def _one_model_a_step(self) -> Self:
        steps = [(rung.family, rung.tier) for rung in self.ladder]
        if len(set(steps)) != len(steps):
            raise ValueError("ladder has two models of one family and tier")
        bars = {bar.tier for bar in self.tiers}
        if len(bars) != len(self.tiers):
            raise ValueError("tiers names a tier twice")
        for rung in self.ladder:
            if rung.tier not in bars:
                raise ValueError(f"ladder: {rung.model} is of tier {rung.tier}, which tiers does not describe")
        return self

    @property
    def families(self) -> tuple[str, ...]:
        """Families of the ladder, sorted."""
        return tuple(sorted({rung.family for rung in self.ladder}))

    def rung(self, family: str, tier: int) -> Rung | None:
        """The model of a family at ``tier``; where the ladder has no such step, the nearest one below, else the lowest."""
        steps = sorted((rung for rung in self.ladder if rung.family == family), key=lambda rung: rung.tier)
        below = [rung for rung in steps if rung.tier <= tier]
        return below[-1] if below else steps[0] if steps else None


class CanaryRules(_Section):
    """How often canaries enter rounds, and which texts of the bank are planted for which family (ppm).

    ``file_rate_ppm`` is of seats, ``package_rate_ppm`` of ordinary first rounds. Every value has a default, so that a policy written
    before canaries has none. ``files`` names texts by family; a family that is not there gets none.
    """

    file_rate_ppm: Ppm = 0
    package_rate_ppm: Ppm = 0
    min_family_sensitivity_ppm: Ppm = 0
    files: dict[str, tuple[Annotated[str, Field(pattern=r"^p[0-9]{2}$")], ...]] = Field(default_factory=dict)


class Policy(_Section):
    """One version of the deployment policy. Immutable; equal policies have equal hashes."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    package: PackageLimits
    sandbox: SandboxBudgets
    assembly: AssemblyRules
    audit: AuditRules
    standing: StandingRules
    monitoring: MonitoringRules
    certificate: CertificateRules
    population: PopulationRules
    language_models: LanguageModelRules = LanguageModelRules()
    payouts: PayoutRules = PayoutRules()
    beacon: BeaconRules = BeaconRules()
    independence: IndependenceRules = IndependenceRules()
    canaries: CanaryRules = CanaryRules()

    @cached_property
    def canonical_bytes(self) -> bytes:
        """RFC 8785 bytes of the whole policy: what is stored and what the hash covers."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 hex of `canonical_bytes`."""
        return sha256_hex(self.canonical_bytes)


def half_life_factor(days: int, bits: int) -> int:
    """round(2^bits · 2^(−1/days)), by decimal arithmetic of 60 digits so that no platform's libm decides it."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(2) ** bits * Decimal(2) ** (Decimal(-1) / Decimal(days))
        return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def parse_policy(text: str, source: str) -> Policy:
    """The policy in TOML ``text``; ``source`` names it in errors. Raises PolicyError."""
    try:
        # Through JSON: pydantic's strict mode (no "50" for 50) then still reads an array as a tuple.
        document = json.dumps(tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{source}: not TOML: {error}") from None
    except TypeError:
        raise PolicyError(f'{source}: a policy holds no dates, only text: version = "2026-11-21"') from None
    try:
        return Policy.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "policy"
        raise PolicyError(f"{source}: {place}: {first['msg'].removeprefix('Value error, ')}") from None


@lru_cache(maxsize=8)
def load_policy(path: Path = DEFAULT_POLICY_FILE) -> Policy:
    """The policy in the TOML file at ``path``. Raises PolicyError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}", hint="check SIGMA_POLICY_FILE") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not UTF-8 at byte {error.start}") from None
    return parse_policy(text, str(path))
