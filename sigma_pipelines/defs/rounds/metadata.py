"""What an operator reads beside each materialisation: a few figures, the hashes that matter, and a small table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from sigma_core.lifecycle.panel_figures import PanelFigures, SeatUsage
from sigma_core.lifecycle.panels import PanelRecord
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.protocol import CertificateRow, RoundRow, SubmissionRow
from sigma_core.submissions.package import Package

Metadata = Mapping[str, Any]
MAX_TABLE_ROWS = 20


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A Markdown table; cell text comes from packages too, so it cannot break out of its cell."""
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    rows = list(rows)
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows[:MAX_TABLE_ROWS]]
    if len(rows) > MAX_TABLE_ROWS:
        lines.append(f"\n… and {len(rows) - MAX_TABLE_ROWS} more")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    escaped = "".join(f"\\{sign}" if sign in "\\|`*_[]<>!#" else sign for sign in text)
    return escaped.replace("\n", " ").replace("\r", " ")


def of_package(row: SubmissionRow, package: Package) -> Metadata:
    """Name, size, hashes and the member list."""
    return {
        "name": row.name,
        "product_type": row.product_type,
        "files": len(package.files),
        "bytes": package.total_bytes,
        "tree_hash": row.tree_hash,
        "skill_hash": row.skill_hash or "none",
        "members": table(("path", "bytes", "sha256"), ((f.path, f.size, f.sha256[:16]) for f in package.files)),
    }


def of_facts(facts: FactsDocument) -> Metadata:
    """Risk, blocking signals, coverage and the worst facts."""
    order = {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 2, "LOW": 3, "INFO": 4}
    worst = sorted(facts.facts, key=lambda fact: order[fact["severity"]])
    return {
        "sandbox_risk_level": facts.risk_level.value,
        "security_level": facts.security_level.value,
        "facts": len(facts.facts),
        "blocking_signals": len(facts.blocking_signals),
        "coverage_complete": facts.complete,
        "facts_sha256": facts.sha256,
        "rule_pack_hash": facts.document["rulePackHash"],
        "worst_facts": table(
            ("severity", "rule", "where", "what"),
            (
                (fact["severity"], fact["ruleId"], f"{fact['file']}:{fact['lineStart']}", fact["title"])
                for fact in worst
            ),
        ),
    }


def of_panel(panel: PanelRecord, figures: PanelFigures) -> Metadata:
    """Votes and what they are worth together, seats, tickets, and what the panel took: calls, money and time, of each seat too."""
    verdicts = [seat.verdict for seat in panel.seats]
    whole = figures.whole
    return {
        "round": panel.round.number,
        "round_id": panel.round.id,
        "phase": panel.phase,
        "safe": verdicts.count("SAFE"),
        "unsafe": verdicts.count("UNSAFE"),
        "abstain_or_no_show": sum(verdict not in ("SAFE", "UNSAFE") for verdict in verdicts),
        "families": len({seat.family for seat in panel.seats}),
        "effective_votes": round(figures.effective_votes_ppm / 1_000_000, 3),
        "relaxations": sorted({name for seat in panel.seats for name in seat.relaxations}),
        "beacon_round": panel.round.beacon_round,
        "seed": panel.round.seed,
        "weights_epoch": panel.round.weights_epoch,
        "audit_ms": round(panel.audit_us / 1000, 1),
        "calls": whole.attempts,
        "calls_ms": round(whole.latency_us / 1000, 1),
        "cost_micro_usd": whole.cost_micro_usd,
        "calls_of_unknown_cost": whole.unknown,
        "seats": table(
            (
                "seat",
                "validator",
                "operator",
                "family",
                "ticket",
                "verdict",
                "findings",
                "status",
                "calls",
                "ms",
                "micro-USD",
            ),
            (
                (
                    seat.number,
                    seat.validator_id,
                    seat.operator,
                    seat.family,
                    seat.ticket_index,
                    seat.verdict,
                    seat.finding_count,
                    seat.status,
                    *_taken(figures.usage.get(seat.validator_id, SeatUsage())),
                )
                for seat in panel.seats
            ),
        ),
    }


def _taken(usage: SeatUsage) -> tuple[object, ...]:
    unknown = f" and {usage.unknown} of unknown cost" if usage.unknown else ""
    return usage.attempts, round(usage.latency_us / 1000, 1), f"{usage.cost_micro_usd}{unknown}"


def of_outcome(row: RoundRow) -> Metadata:
    """The outcome, its reasons, and how independent the votes were."""
    return {
        "outcome": row.outcome or "none",
        "with_rejection": bool(row.with_rejection),
        "round": row.number,
        "round_id": row.id,
        "assurance_level": row.assurance_level or 0,
        "effective_votes": round((row.n_eff_ppm or 0) / 1_000_000, 3),
        "diversity_degraded": bool(row.diversity_degraded),
        "disabled_families": table(
            ("family", "why"), ((each["family"], each["reason"]) for each in row.disabled_families or [])
        ),
        "policy_hash": row.policy_hash,
        "replay_document": row.replay_sha256 or "none",
        "reasons": table(
            ("code", "where", "reason"),
            (
                line
                for reason in row.reasons
                for line in (
                    (reason["code"], "", reason["message"]),
                    *(
                        ("", f"{signal['file']}:{signal['line']}", signal["reason"])
                        for signal in reason["detail"].get("signals", [])
                        if "file" in signal
                    ),
                )
            ),
        ),
    }


def of_certificate(row: CertificateRow | None) -> Metadata:
    """The certificate's id and hashes, or that none was issued."""
    if row is None:
        return {"issued": False}
    return {
        "issued": True,
        "certificate_id": row.id,
        "payload_hash": row.payload_hash,
        "bundle_sha256": row.bundle_sha256,
        "issued_at": dg.MetadataValue.timestamp(row.issued_at),
        "expires_at": dg.MetadataValue.timestamp(row.expires_at),
    }
