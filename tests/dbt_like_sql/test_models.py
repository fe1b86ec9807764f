"""The shipped models, on a small lake whose every figure can be counted by hand."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import dbt_like_sql
from dbt_like_sql.loader import Project
from dbt_like_sql.page import models_page
from sigma_core.assembly.consensus import TruthSource
from sigma_core.lifecycle.lake import LAKE_TABLES
from sigma_core.lifecycle.standing import WEIGHTS_TABLE
from sigma_core.simulation.compare import RUN_COLUMNS, SHARE_COLUMNS
from sigma_core.standing.ledger import Reason, ReputationKind
from sigma_core.standing.payouts import PayoutKind

ROOT = Path(__file__).resolve().parents[2]
POLARS_TYPES = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "BOOLEAN": pl.Boolean,
    "TIMESTAMPTZ": pl.Datetime("ms", "UTC"),
}

Rows = dict[tuple[str, str], list[dict[str, Any]]]


def at(minute: int) -> datetime:
    return datetime(2026, 11, 21, 3, minute, tzinfo=UTC)


def entry(key: str, validator: str, reason: str, aligned: int, misaligned: int, day: int = 20_000) -> dict[str, Any]:
    return {
        "entry_key": key, "validator_id": validator, "round_id": "r1", "day": day, "aligned_q10": aligned,
        "misaligned_q10": misaligned, "reason": reason, "truth_source": "UNANIMOUS", "policy_hash": "p",
    }  # fmt: skip


def seat(number: int, validator: str, status: str, verdict: str | None, findings: int = 0) -> dict[str, Any]:
    return {
        "round_id": "r1", "phase": 1, "seat_number": number, "validator_id": validator, "family": f"family-{validator}",
        "operator": f"op-{validator}", "ticket_index": number, "status": status, "verdict": verdict, "score_ppm": 0,
        "finding_count": findings,
    }  # fmt: skip


def attempt(identifier: int, call: str, state: str, latency: int, cost: int | None) -> dict[str, Any]:
    return {
        "attempt_id": identifier, "call_key": call, "round_id": "r1", "submission_id": "s1", "phase": 1, "validator_id": "ada",
        "purpose": "audit", "provider": "embedded", "model": "rules", "model_revision": "7", "attempt_number": 1,
        "state": state, "latency_us": latency, "uncached_in": 10, "cache_read": 1, "cache_write": 2, "tokens_out": 5,
        "reasoning": 3, "usage_source": "provider", "cost_micro_usd": cost, "cost_source": "provider",
        "created_at": at(identifier),
    }  # fmt: skip


def plugin_use(round_id: str, seat_number: int, who: str, verdict: str) -> dict[str, Any]:
    return {
        "round_id": round_id, "phase": 1, "seat_number": seat_number, "plugin_id": "plg_1", "validator_id": who,
        "submission_id": "s1", "plugin_type": "SIGMA_SKILL", "product_type": "SKILL", "slot": 1, "verdict": verdict, "used_at": at(4),
    }  # fmt: skip


def validator(name: str, stake: int, status: str = "ACTIVE") -> dict[str, Any]:
    return {
        "validator_id": name, "operator": f"op-{name}", "family": f"family-{name}", "stake_micro_usd": stake,
        "tier_ppm": 1_000_000, "status": status, "joined_at": at(0),
    }  # fmt: skip


def weight(epoch: int, name: str, stake: int, of_weight: int) -> dict[str, Any]:
    return {
        "epoch": epoch, "day": 20_000 + epoch, "validator_id": name, "stake_micro_usd": stake, "accuracy_ppm": 500_000 + epoch,
        "reputation_ppm": 500_000, "weight": of_weight, "capped": name == "ada",
    }  # fmt: skip


def payout(key: str, name: str | None, kind: str, amount: int) -> dict[str, Any]:
    return {
        "entry_key": key, "round_id": "r1", "validator_id": name, "day": 20_000, "kind": kind, "amount_micro_usd": amount,
        "policy_hash": "p",
    }  # fmt: skip


def share(policy: str, seed: int, day: int, group: str, ratio: int) -> dict[str, Any]:
    return {
        "policy": policy, "policy_hash": "p", "scenario": "town", "seed": seed, "day": day, "group_name": group,
        "weight_ppm": ratio, "stake_ppm": 1_000_000, "ratio_ppm": ratio,
    }  # fmt: skip


def run(policy: str, seed: int, safe: int, safe_certified: int) -> dict[str, Any]:
    return {
        "policy": policy, "policy_hash": "p", "scenario": "town", "seed": seed, "submissions": 200, "canaries": 5,
        "attacks": 3, "attacks_certified": 0, "unsafe": 50, "unsafe_certified": seed, "safe": safe,
        "safe_certified": safe_certified, "escalated": 40,
    }  # fmt: skip


def resolution(round_id: str, number: int, truth: str, source: str) -> dict[str, Any]:
    return {
        "round_id": round_id, "number": number, "truth": truth, "truth_source": source, "actor": "operator:ada",
        "reason": "read it", "resolved_at": at(50 + number),
    }  # fmt: skip


def override(round_id: str, number: int, outcome: str) -> dict[str, Any]:
    return {
        "round_id": round_id, "number": number, "outcome": outcome, "actor": "operator:ada", "reason": "read it",
        "overridden_at": at(50 + number),
    }  # fmt: skip


LAKE: Rows = {
    ("protocol", "submissions"): [
        {
            "submission_id": "s1", "name": "weather", "version": "1.0", "product_type": "SKILL", "source_type": "upload",
            "tree_hash": "t", "skill_hash": "h", "state": "APPROVED", "submitted_at": at(0),
        }
    ],
    ("protocol", "rounds"): [
        {
            "round_id": "r1", "submission_id": "s1", "round_number": 1, "round_type": "INITIAL_AUDIT",
            "trigger_source": "SUBMISSION", "state": "DECIDED", "outcome": "APPROVED", "with_rejection": False,
            "scored": True, "truth": "SAFE", "truth_source": "UNANIMOUS", "weights_epoch": 1, "policy_hash": "p", "facts_sha256": "f", "n_eff_ppm": 2_000_000,
            "assurance_level": 1, "diversity_degraded": False, "opened_at": at(1), "decided_at": at(2),
        },
        {
            "round_id": "r2", "submission_id": "s1", "round_number": 2, "round_type": "RE_AUDIT",
            "trigger_source": "OPERATOR", "state": "OPEN", "outcome": None, "with_rejection": None, "scored": None,
            "truth": None, "truth_source": None, "weights_epoch": 2, "policy_hash": "p", "facts_sha256": "f", "n_eff_ppm": None, "assurance_level": None,
            "diversity_degraded": None, "opened_at": at(3), "decided_at": None,
        },
    ],
    ("protocol", "seats"): [
        seat(1, "ada", "REVEALED", "SAFE", findings=2),
        seat(2, "bo", "REVEALED", "UNSAFE", findings=3),
        seat(3, "ci", "NO_SHOW", None),
        seat(4, "ada", "ABSTAINED", "ABSTAIN"),
        seat(5, "bo", "COMMITTED", None),
    ],
    ("protocol", "planted_canaries"): [
        # Of r2, which is not decided, nothing shows.
        {"round_id": name, "phase": 1, "seat_number": 1, "validator_id": "ada", "family": "family-ada", "item": "p01", "answer": "CAUGHT"}
        for name in ("r1", "r2")
    ],
    ("protocol", "plugin_usages"): [
        plugin_use("r1", 1, "ada", "SAFE"), plugin_use("r1", 2, "bo", "UNSAFE"),
        plugin_use("r2", 1, "ada", "SAFE"),  # r2 is not decided: what was said there is sealed
    ],
    ("protocol", "validator_skill_usages"): [
        {"round_id": name, "phase": 1, "seat_number": 1, "skill_id": "sk_1", "validator_id": "ada", "used_at": at(4)} for name in ("r1", "r2")
    ],
    ("protocol", "validators"): [validator("ada", 300), validator("bo", 100), validator("ci", 5, "SUSPENDED")],
    ("protocol", "accuracy_ledger"): [
        entry("r1/1.1/score/0", "ada", "ALIGNED", 1024, 51),
        entry("r1/1.2/score/0", "bo", "ALIGNED", 1024, 51),
        entry("r1/1.2/score/0/undo", "bo", "COMPENSATION", -1000, -49, day=20_001),
        entry("r1/1.2/score/1", "bo", "MISALIGNED", 0, 1075, day=20_001),
        entry("r1/1.3/score/0", "ci", "NO_SHOW", 0, 563),
    ],
    ("protocol", "reputation_ledger"): [
        {"entry_key": "e1", "validator_id": "ada", "day": 20_000, "kind": "CONSTRUCTIVE", "detail": "r1"},
        {"entry_key": "e2", "validator_id": "ci", "day": 20_000, "kind": "DISPUTED", "detail": "r1"},
        {"entry_key": "e3", "validator_id": "ci", "day": 20_000, "kind": "SANCTION", "detail": None},
    ],
    ("protocol", "weights"): [
        weight(1, "ada", 300, 9), weight(2, "ada", 300, 3 * 10**15), weight(2, "bo", 100, 10**15),
    ],
    ("protocol", "payout_ledger"): [
        payout("r1/budget/payout/0", None, "BUDGET", -100),
        payout("r1/1.1/payout/0", "ada", "PAYOUT", 70),
        payout("r1/1.2/payout/0", "bo", "FORFEIT", -20),
        payout("r1/reserve/payout/0", None, "RESERVE", 50),
    ],
    ("simulation", "group_shares"): [
        share("default", seed, day, group, ratio)
        for seed, day, group, ratio in [(1, 0, "honest", 900), (1, 1, "honest", 1_400), (2, 1, "honest", 1_601), (1, 1, "lazy", 200), (2, 1, "lazy", 100)]
    ],
    ("simulation", "runs"): [run("default", 1, 90, 60), run("default", 2, 110, 90)],
    ("protocol", "certificates"): [
        {
            "certificate_id": "c1", "submission_id": "s1", "round_id": "r1", "status": "SUSPENDED", "payload_hash": "0x0",
            "issued_at": at(2), "expires_at": at(59),
        }
    ],
    ("usage", "call_attempts"): [
        attempt(1, "call-1", "failed", 900, None),
        attempt(2, "call-1", "done", 100, 40),
        attempt(3, "call-2", "done", 200, 2),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> Project:
    return Project.load(Path(dbt_like_sql.__file__).parent)


def write_lake(lake: Path, project: Project, rows: Rows) -> None:
    for (source, name), table in project.sources.items():
        schema = {column.name: POLARS_TYPES[column.data_type] for column in table.columns}
        path = lake / source / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows.get((source, name), []), schema=schema, orient="row").write_parquet(path)


@pytest.fixture(scope="module")
def lake(shipped: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(folder, shipped, LAKE)
    shipped.build(folder)
    return folder


def mart(lake: Path, name: str) -> dict[str, dict[str, Any]]:
    """Rows of a mart by their first column."""
    frame = pl.read_parquet(lake / "models" / f"{name}.parquet")
    return {row[frame.columns[0]]: row for row in frame.iter_rows(named=True)}


def failing_tests(project: Project, lake: Path) -> set[str]:
    results = project.run_tests(project.tests, lake)
    return {f"{test.model}.{test.name}" for test, result in zip(project.tests, results, strict=True) if result.failures}


def test_every_shipped_test_passes_on_the_lake(shipped: Project, lake: Path) -> None:
    assert failing_tests(shipped, lake) == set()


def test_every_model_builds_on_an_empty_lake(shipped: Project, tmp_path: Path) -> None:
    write_lake(tmp_path, shipped, {})
    assert {result.row_count for result in shipped.build(tmp_path)} == {0}
    assert failing_tests(shipped, tmp_path) == set()


def test_validator_standing_is_the_newest_epoch_and_the_votes_that_stand(lake: Path) -> None:
    standing = mart(lake, "validator_standing")
    columns = (
        "epoch", "accuracy_ppm", "weight", "weight_share_ppm", "stake_share_ppm", "capped", "scored_seats", "aligned_seats",
        "misaligned_seats", "missed_seats", "constructive_events", "bad_events", "last_scored_on",
    )  # fmt: skip
    figures = {name: tuple(row[column] for column in columns) for name, row in standing.items()}
    assert figures == {
        "ada": (2, 500_002, 3 * 10**15, 750_000, 750_000, True, 1, 1, 0, 0, 1, 0, date(2024, 10, 4)),
        "bo": (2, 500_002, 10**15, 250_000, 250_000, False, 1, 0, 1, 0, 0, 0, date(2024, 10, 5)),
        "ci": (None, None, None, None, None, False, 1, 0, 0, 1, 0, 2, date(2024, 10, 4)),
    }
    assert standing["ci"]["status"] == "SUSPENDED"


def test_round_outcomes_counts_votes_and_names_the_certificate(lake: Path) -> None:
    outcomes = mart(lake, "round_outcomes")
    columns = (
        "outcome", "submission_name", "seats", "safe_votes", "unsafe_votes", "abstentions", "no_shows", "families",
        "findings", "certificate_id", "certificate_status", "milliseconds_to_decision", "diversity_degraded",
    )  # fmt: skip
    assert tuple(outcomes["r1"][column] for column in columns) == (
        "APPROVED", "weather", 5, 1, 1, 1, 1, 3, 5, "c1", "SUSPENDED", 60_000, False,
    )  # fmt: skip
    assert tuple(outcomes["r2"][column] for column in columns) == (
        None, "weather", 0, 0, 0, 0, 0, 0, 0, None, None, None, False,
    )  # fmt: skip
    assert outcomes["r1"]["decided_at"] == at(2)


def test_usage_by_model_adds_up_and_an_unknown_cost_is_not_free(shipped: Project, lake: Path, tmp_path: Path) -> None:
    (usage,) = mart(lake, "usage_by_model").values()
    expected = {
        "usage_key": "embedded/rules@7#audit", "calls": 2, "attempts": 3, "failed_attempts": 1, "rounds": 1, "uncached_in": 30,
        "cache_read": 3, "cache_write": 6, "tokens_out": 15, "reasoning": 9, "known_cost_micro_usd": 42,
        "attempts_of_unknown_cost": 1, "median_latency_us": 200, "p95_latency_us": 900, "first_attempt_at": at(1),
        "last_attempt_at": at(3),
    }  # fmt: skip
    assert {name: usage[name] for name in expected} == expected
    write_lake(tmp_path, shipped, {("usage", "call_attempts"): [attempt(1, "call-1", "done", 1, None)]})
    shipped.build(tmp_path)
    (unknown,) = mart(tmp_path, "usage_by_model").values()
    assert unknown["known_cost_micro_usd"] is None


def test_plugins_are_counted_once_a_seat_of_decided_rounds_and_never_with_older_skills(lake: Path) -> None:
    (plugin,) = mart(lake, "plugin_usage").values()
    assert tuple(plugin.values())[:8] == ("plg_1", "SIGMA_SKILL", 2, 1, 2, 1, 1, 0)
    (skill,) = mart(lake, "validator_skill_usage").values()
    assert tuple(skill.values())[:4] == ("sk_1", "ada", 1, 1)


def test_usage_by_validator_round_and_day_add_up_to_all_usage(lake: Path) -> None:
    for name, key in (("usage_by_validator", "ada"), ("usage_by_round", "r1"), ("usage_by_day", date(2026, 11, 21))):
        (row,) = mart(lake, name).values()
        assert tuple(row.values()) == (key, 2, 3, 1, 1, 39, 15, 42, 1)


def test_standing_over_time_has_every_epoch_with_its_shares(lake: Path) -> None:
    over_time = mart(lake, "standing_over_time")
    columns = ("epoch", "published_on", "validator_id", "weight", "weight_share_ppm", "stake_share_ppm")
    assert [tuple(row[column] for column in columns) for row in over_time.values()] == [
        (1, date(2024, 10, 5), "ada", 9, 1_000_000, 1_000_000),
        (2, date(2024, 10, 6), "ada", 3 * 10**15, 750_000, 750_000),
        (2, date(2024, 10, 6), "bo", 10**15, 250_000, 250_000),
    ]


def test_standing_over_time_by_increments_is_what_a_whole_build_gives(shipped: Project, tmp_path: Path) -> None:
    by_increments, at_once = tmp_path / "a", tmp_path / "b"
    rows = [weight(epoch, name, 100 * epoch, 7 * epoch + 1) for epoch in range(1, 12) for name in ("ada", "bo", "ci")]
    for known in (3, 3, 30, 33):
        write_lake(by_increments, shipped, {**LAKE, ("protocol", "weights"): rows[:known]})
        shipped.build(by_increments)
    write_lake(at_once, shipped, {**LAKE, ("protocol", "weights"): rows})
    shipped.build(at_once)
    built = [pl.read_parquet(lake / "models" / "standing_over_time.parquet") for lake in (by_increments, at_once)]
    assert built[0].equals(built[1])
    assert built[0].height == 33


def test_alignment_counts_what_stands_by_source_of_truth(lake: Path) -> None:
    alignment = mart(lake, "alignment_by_truth_source")
    columns = ("scored_seats", "aligned_seats", "misaligned_seats", "seats_without_a_vote", "alignment_ppm")
    assert {key: tuple(row[column] for column in columns) for key, row in alignment.items()} == {
        "UNANIMOUS/family-ada": (1, 1, 0, 0, 1_000_000),
        "UNANIMOUS/family-bo": (1, 0, 1, 0, 0),
        "UNANIMOUS/family-ci": (1, 0, 0, 1, None),
    }


def test_payouts_by_round_and_validator_balance(shipped: Project, lake: Path, tmp_path: Path) -> None:
    (paid,) = mart(lake, "payouts_by_round").values()
    assert tuple(paid.values()) == ("r1", date(2024, 10, 4), 100, 20, 70, 50, 1, 1, 0, 0)
    assert {name: row["balance_micro_usd"] for name, row in mart(lake, "payouts_by_validator").items()} == {
        "ada": 70,
        "bo": -20,
    }
    first = LAKE["protocol", "payout_ledger"]
    undone = [
        {**line, "entry_key": f"{line['entry_key']}/undo", "kind": "REVERSAL", "amount_micro_usd": -line["amount_micro_usd"]}
        for line in first
    ]  # fmt: skip
    again = [
        payout("r1/budget/payout/1", None, "BUDGET", -100),
        payout("r1/1.2/payout/1", "bo", "PAYOUT", 60),
        payout("r1/reserve/payout/1", None, "RESERVE", 40),
    ]
    write_lake(tmp_path, shipped, {**LAKE, ("protocol", "payout_ledger"): [*first, *undone, *again]})
    shipped.build(tmp_path)
    (paid,) = mart(tmp_path, "payouts_by_round").values()
    assert tuple(paid.values()) == ("r1", date(2024, 10, 4), 100, 0, 60, 40, 1, 0, 4, 0)
    balances = {name: row["balance_micro_usd"] for name, row in mart(tmp_path, "payouts_by_validator").items()}
    assert balances == {"ada": 0, "bo": 60}
    assert failing_tests(shipped, tmp_path) == set()


def test_policy_comparison_takes_the_last_day_of_each_run(lake: Path) -> None:
    comparison = mart(lake, "policy_comparison")
    columns = (
        "seeds",
        "mean_ratio_ppm",
        "lowest_ratio_ppm",
        "highest_ratio_ppm",
        "good_certified_ppm",
        "bad_certified",
    )
    assert {key: tuple(row[column] for column in columns) for key, row in comparison.items()} == {
        "default/town/honest": (2, 1_500, 1_400, 1_601, 750_000, 3),
        "default/town/lazy": (2, 150, 100, 200, 750_000, 3),
    }


# Votes of ada, bo (family-a) and ci (family-b) on an UNSAFE package: ada and bo err together, ci by itself.
VOTES = ("SSU", "SSU", "SUU", "UUS", "UUS", "UUU", "UUU", "USU")


@pytest.fixture(scope="module")
def many_rounds(shipped: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight rounds of two families that were resolved later, the first after a correction, and one whose truth the votes made."""
    lake = tmp_path_factory.mktemp("rounds")
    base = LAKE["protocol", "rounds"][0]
    rounds, seats = [], []
    resolutions = [resolution(f"r{number}", 0, "UNSAFE", "OPERATOR") for number in range(1, len(VOTES))]
    resolutions += [resolution("r0", 1, "UNSAFE", "OPERATOR"), resolution("r0", 0, "SAFE", "THIRD_PANEL")]
    overrides = [override("r0", 2, "REJECTED"), override("r0", 1, "APPROVED")]
    for number, votes in enumerate((*VOTES, "SSS")):
        own = {"truth": None, "truth_source": None, "scored": False, "outcome": "ESCALATED"}
        if number == len(VOTES):
            own = {"truth": "SAFE", "truth_source": "UNANIMOUS", "outcome": "APPROVED"}
        rounds.append({**base, "round_id": f"r{number}", "round_number": number, "weights_epoch": 2, **own})
        for seat_number, (name, vote) in enumerate(zip(("ada", "bo", "ci"), votes, strict=True), start=1):
            verdict = "SAFE" if vote == "S" else "UNSAFE"
            family = "family-b" if name == "ci" else "family-a"
            seats.append({**seat(seat_number, name, "REVEALED", verdict), "round_id": f"r{number}", "family": family})
    write_lake(
        lake,
        shipped,
        {
            **LAKE,
            ("protocol", "rounds"): rounds,
            ("protocol", "round_resolutions"): resolutions,
            ("protocol", "round_overrides"): overrides,
            ("protocol", "seats"): seats,
            ("protocol", "accuracy_ledger"): [],
            ("protocol", "payout_ledger"): [],
            ("protocol", "certificates"): [],
            ("protocol", "weights"): [weight(2, "ada", 300, 50), weight(2, "bo", 100, 25), weight(2, "ci", 100, 25)],
            ("protocol", "reputation_ledger"): [
                {"entry_key": f"e{number}", "validator_id": "ci", "day": 20_000 + number, "kind": "ATTRIBUTABLE_ESCALATION", "detail": "r"}
                for number in range(3)
            ] + [{"entry_key": "e2/undo", "validator_id": "ci", "day": 20_009, "kind": "COMPENSATION", "detail": "r"}],
        },
    )  # fmt: skip
    shipped.build(lake)
    assert failing_tests(shipped, lake) == set()
    return lake


class TestMartsOfManyRounds:
    def test_error_correlation_is_phi_on_truths_that_the_votes_did_not_make(self, many_rounds: Path) -> None:
        pairs = mart(many_rounds, "family_error_correlation")

        def phi(ones: list[int], others: list[int]) -> float:
            n, a, b = len(ones), sum(ones), sum(others)
            both = sum(one * other for one, other in zip(ones, others, strict=True))
            return (n * both - a * b) / math.sqrt(a * (n - a) * b * (n - b))

        ada, bo, ci = ([int(votes[at] == "S") for votes in VOTES] for at in range(3))
        same = phi([*ada, *bo], [*bo, *ada])
        other = phi([*ada, *bo], [*ci, *ci])
        assert (pairs["family-a/family-a"]["pairs_of_votes"], pairs["family-a/family-b"]["pairs_of_votes"]) == (8, 16)
        assert pairs["family-a/family-a"]["correlation_ppm"] == round(same * 1_000_000)
        assert pairs["family-a/family-b"]["correlation_ppm"] == round(other * 1_000_000) < 0
        assert pairs["family-a/family-a"]["n_eff_of_ten_ppm"] == round(10_000_000 / (1 + 9 * same))
        assert pairs["family-a/family-b"]["n_eff_of_ten_ppm"] == 10_000_000
        assert "family-b/family-b" not in pairs

    def test_canaries_give_sensitivity_and_specificity_with_wilson_intervals(
        self, shipped: Project, tmp_path: Path
    ) -> None:
        base = LAKE["protocol", "rounds"][0]
        canary = {"scored": True, "truth_source": "CANARY_LABEL", "outcome": "ESCALATED"}
        rounds = [{**base, "round_id": f"u{n}", "round_number": n, "truth": "UNSAFE", **canary} for n in range(8)]
        rounds += [{**base, "round_id": f"s{n}", "round_number": 10 + n, "truth": "SAFE", **canary} for n in range(2)]
        rounds += [{**base, "round_id": "open", "round_number": 20, "decided_at": None}]
        said = {**{f"u{n}": "UNSAFE" if n < 6 else "SAFE" for n in range(8)}, "s0": "SAFE", "s1": "SAFE"}
        seats = [{**seat(1, "ada", "REVEALED", verdict), "round_id": name} for name, verdict in said.items()]
        seats += [{**seat(2, "bo", "ABSTAINED", "ABSTAIN"), "round_id": "s0"}]
        answers = [("u0", "CAUGHT"), ("u1", "CAUGHT"), ("u2", "MISSED"), ("u3", "UNCLEAR"), ("open", "MISSED")]
        planted = [
            {
                "round_id": name,
                "phase": 1,
                "seat_number": 1,
                "validator_id": "ada",
                "family": "family-ada",
                "item": "p01",
                "answer": answer,
            }
            for name, answer in answers
        ]
        empty = ("accuracy_ledger", "payout_ledger", "certificates", "reputation_ledger", "weights")
        write_lake(
            tmp_path,
            shipped,
            {
                **LAKE,
                **{("protocol", name): [] for name in empty},
                ("protocol", "rounds"): rounds,
                ("protocol", "seats"): seats,
                ("protocol", "planted_canaries"): planted,
            },
        )
        shipped.build(tmp_path)
        assert failing_tests(shipped, tmp_path) == set()
        families = mart(tmp_path, "canary_sensitivity_by_family")
        columns = ("unsafe_answered", "unsafe_caught", "sensitivity_ppm", "safe_answered", "safe_passed", "unanswered")
        assert {key: tuple(row[column] for column in columns) for key, row in families.items()} == {
            "family-ada/FILE": (3, 2, 666_666, 0, 0, 1),
            "family-ada/PACKAGE": (8, 6, 750_000, 2, 2, 0),
            "family-ada/ALL": (11, 8, 727_272, 2, 2, 1),
            "family-bo/PACKAGE": (0, 0, None, 0, 0, 1),
            "family-bo/ALL": (0, 0, None, 0, 0, 1),
        }

        def wilson(hits: int, total: int, sign: int) -> float:
            z, share = 1.96, hits / total
            spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
            return (share + z * z / (2 * total) + sign * spread) / (1 + z * z / total)

        packages = families["family-ada/PACKAGE"]
        assert packages["sensitivity_low_ppm"] == math.floor(1_000_000 * wilson(6, 8, -1))
        assert packages["sensitivity_high_ppm"] == math.ceil(1_000_000 * wilson(6, 8, 1))
        assert packages["specificity_low_ppm"] == math.floor(1_000_000 * wilson(2, 2, -1))
        assert families["family-bo/ALL"]["sensitivity_low_ppm"] is None
        validators = mart(tmp_path, "canary_sensitivity_by_validator")
        assert validators["ada/ALL"] == {
            **families["family-ada/ALL"],
            "sensitivity_key": "ada/ALL",
            "validator_id": "ada",
        }

    def test_selection_fairness_holds_drawn_seats_against_shares_of_weight(self, many_rounds: Path) -> None:
        fairness = mart(many_rounds, "selection_fairness")
        columns = ("drawn_seats", "expected_milli_seats", "z_milli")
        # 27 seats in all: ada was to have 13.5 of them.
        assert {name: tuple(row[column] for column in columns) for name, row in fairness.items()} == {
            "ada": (9, 13_500, round(-4_500 / math.sqrt(27 / 4))),
            "bo": (9, 6_750, 1_000),
            "ci": (9, 6_750, 1_000),
        }

    def test_the_newest_truth_and_the_newest_override_of_a_round_count(self, many_rounds: Path) -> None:
        outcomes = mart(many_rounds, "round_outcomes")
        columns = ("outcome", "scored", "truth", "truth_source", "resolutions", "override_outcome", "resolved_at")
        assert [tuple(outcomes[name][column] for column in columns) for name in ("r0", "r1", f"r{len(VOTES)}")] == [
            ("ESCALATED", False, "UNSAFE", "OPERATOR", 2, "REJECTED", at(51)),
            ("ESCALATED", False, "UNSAFE", "OPERATOR", 1, None, at(50)),
            ("APPROVED", True, "SAFE", "UNANIMOUS", 0, None, None),
        ]

    def test_escalations_are_counted_and_attributed(self, many_rounds: Path) -> None:
        escalations = mart(many_rounds, "escalations_attributable")
        columns = ("rounds", "escalated_rounds", "resolved_rounds", "attributable_escalations", "last_attributed_on")
        assert tuple(escalations["ci"][column] for column in columns) == (9, 8, 8, 2, date(2024, 10, 5))
        assert tuple(escalations["ada"][column] for column in columns) == (9, 8, 8, 0, None)


@pytest.mark.parametrize(
    ("table", "changes", "failing"),
    [
        (
            "validators",
            {"validator_id": "bo"},
            {
                "stg_validators.unique_validator_id",
                "validator_standing.unique_validator_id",
                "payouts_by_validator.unique_validator_id",
            },
        ),
        ("validators", {"status": "ASLEEP"}, {"stg_validators.accepted_values_status"}),
        (
            "weights",
            {"validator_id": "nobody"},
            {
                f"{model}.relationships_validator_id"
                for model in ("stg_weights", "standing_over_time", "selection_fairness")
            },
        ),
        ("weights", {"weight": None}, {"stg_weights.not_null_weight"}),
        ("payout_ledger", {"kind": "GIFT"}, {"stg_payouts.accepted_values_kind"}),
        ("payout_ledger", {"amount_micro_usd": -99}, {"payouts_by_round.accepted_values_imbalance_micro_usd"}),
        ("accuracy_ledger", {"reason": "PLEASED"}, {"stg_accuracy_entries.accepted_values_reason"}),
    ],
)
def test_a_broken_row_fails_its_test_and_no_other(
    shipped: Project, tmp_path: Path, table: str, changes: dict[str, Any], failing: set[str]
) -> None:
    first, *others = LAKE["protocol", table]
    if "validator_id" in changes and table == "validators":
        others = [*others, first]  # so that nobody who is referred to goes missing
    write_lake(tmp_path, shipped, {**LAKE, ("protocol", table): [{**first, **changes}, *others]})
    shipped.build(tmp_path)
    assert failing_tests(shipped, tmp_path) == failing


def test_the_sources_are_what_the_lake_is_given(shipped: Project) -> None:
    described = {key: [column.name for column in table.columns] for key, table in shipped.sources.items()}
    exported = {(table.source, table.name): list(table.schema) for table in LAKE_TABLES}
    # Weights are written by the standing stage, epoch by epoch, and simulations by theirs; neither is exported from a table.
    exported["protocol", "weights"] = list(WEIGHTS_TABLE)
    exported["simulation", "group_shares"] = list(SHARE_COLUMNS)
    exported["simulation", "runs"] = list(RUN_COLUMNS)
    assert described == exported


def test_the_accepted_values_are_those_of_the_code(shipped: Project) -> None:
    accepted = {(test.model, test.column): set(test.test.values) for test in shipped.tests if test.test.values}
    assert accepted["stg_accuracy_entries", "reason"] == set(Reason)
    assert accepted["stg_reputation_events", "kind"] == set(ReputationKind)
    assert accepted["stg_payouts", "kind"] == set(PayoutKind)
    assert accepted["stg_rounds", "truth_source"] == set(TruthSource)
    assert accepted["alignment_by_truth_source", "truth_source"] == set(TruthSource)


def test_the_page_of_models_says_what_is_there(shipped: Project) -> None:
    """When this fails: python -m dbt_like_sql > docs/models.md"""
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == models_page(shipped)
