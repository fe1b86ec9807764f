"""The embedded audit families on the labelled packages: recall, false positives, correlation of errors, yield, CPU time.

    ./sigma bench families

Needs ``../shared/corpora``. Rewrites ``sigma_core/audit/families/error_correlation.json``.

What the figures are worth: the rules, weights and ranges of three families were written with all these packages in
sight, so theirs are regression figures on every corpus, `dev-benign` included. The text model has learnt from none of
them. The hidden payloads are worded by us, and two signatures were added after a first run had missed one of them (209
of 219 found by any family before). Expect less on other packages.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import polars as pl

from sigma_core.assembly.independence import effective_votes_ppm, error_correlation_ppm
from sigma_core.audit.families import FAMILY_PARAMETERS, calibration, embedded_families
from sigma_core.audit.grounding import ground
from sigma_core.audit.model import Verdict, View
from sigma_core.audit.views import view_of
from sigma_core.errors import SigmaError
from sigma_core.policy import PPM, load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.submissions.manifest import empty_manifest, read_manifest
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files
from tests.bench.hidden_payloads import hidden
from tests.bench.labelled import wilson

ROOT = Path(__file__).resolve().parents[2]
CORPORA = ROOT.parent / "shared" / "corpora"
CORRELATION_FILE = ROOT / "sigma_core" / "audit" / "families" / "error_correlation.json"
POLICY = load_policy()
SETTINGS = ("default", "strictest", "mildest")


@dataclass(frozen=True)
class Measured:
    """One labelled package: per family and setting whether any view says UNSAFE, and what that took."""

    corpus: str
    source: str
    label: str
    name: str
    flagged: dict[tuple[str, str], bool]
    milliseconds: dict[tuple[str, View], float]
    blocked: bool


def packages(corpus: str) -> Iterator[tuple[str, str, str, Package]]:
    """``(name, label, source, package)`` of every sample, in order of name."""
    rows = pl.read_parquet(CORPORA / f"{corpus}.parquet").sort("sample", "path")
    for (name,), files in rows.group_by(["sample"], maintain_order=True):
        members = sorted_files(PackageFile.of(row["path"], row["content"]) for row in files.iter_rows(named=True))
        first = files.row(0, named=True)
        skill = next((file.content for file in members if file.path == "SKILL.md"), b"")
        try:
            manifest = read_manifest(skill, POLICY.package)
        except SigmaError:
            manifest = empty_manifest()
        yield str(name), first["label"], first["source"], Package(members, manifest, ProductType.SKILL, str(name))


def measure(corpus: str) -> list[Measured]:
    """All families in both views on every package of a corpus."""
    return [examined(corpus, name, label, source, package) for name, label, source, package in packages(corpus)]


def measure_hidden() -> list[Measured]:
    """Payloads of our own in every third honest skill, one of each language."""
    return [
        examined("hidden payloads", payload, "malicious", "ours", spoiled)
        for number, (_, _, _, package) in enumerate(packages("dev-benign"))
        if number % 3 == 0
        for payload, spoiled in hidden(package, number // 3)
    ]


def examined(corpus: str, name: str, label: str, source: str, package: Package) -> Measured:
    """All families in both views on one package."""
    facts = derive_facts(package, POLICY)
    flagged: dict[tuple[str, str], bool] = defaultdict(bool)
    milliseconds = {}
    for view in View:
        seen = view_of(package, view)
        for family in embedded_families():
            started = time.process_time()
            analysis = family.analyse(seen, facts, view)
            milliseconds[family.family, view] = (time.process_time() - started) * 1_000
            for setting in SETTINGS:
                result = ground(family.decide(analysis, _parameters(family.family, setting)), seen, POLICY.audit)
                assert result.verdict is not Verdict.ABSTAIN, (name, family.family, result.reason)
                flagged[family.family, setting] |= result.verdict is Verdict.UNSAFE
    blocked = bool(facts.blocking_signals) or not facts.complete
    return Measured(corpus, source, label, name, dict(flagged), milliseconds, blocked)


def _parameters(family: str, setting: str) -> dict[str, int | str]:
    chosen = {"default": "default", "strictest": "lowest", "mildest": "highest"}[setting]
    return {parameter.name: getattr(parameter, chosen) for parameter in FAMILY_PARAMETERS[family]}


def phi_ppm(first: Sequence[bool], second: Sequence[bool]) -> int:
    """Correlation of two series of errors in ppm, by integers; 0 where one of them never varies."""
    both = sum(a and b for a, b in zip(first, second, strict=True))
    return error_correlation_ppm(len(first), sum(first), sum(second), both) or 0


def error_correlation(measured: Sequence[Measured]) -> dict[str, Any]:
    """What the assembly reads: pairwise phi of errors. Two validators of one family are compared at the ends of its range."""

    def errors(family: str, setting: str) -> list[bool]:
        return [sample.flagged[family, setting] != (sample.label == "malicious") for sample in measured]

    pairs = []
    for first, second in combinations_with_replacement(sorted(FAMILY_PARAMETERS), 2):
        settings = ("strictest", "mildest") if first == second else ("default", "default")
        pairs.append(
            {"families": [first, second], "ppm": phi_ppm(errors(first, settings[0]), errors(second, settings[1]))}
        )
    return {
        "schema": "sigma-error-correlation-v1",
        "measuredOn": "dev-benign and dev-fixtures; the text model did not learn from them, the other families were "
        "written with them in sight; error = wrong in either view",
        "malicious": sum(sample.label == "malicious" for sample in measured),
        "benign": sum(sample.label == "benign" for sample in measured),
        "revisions": {family.family: family.revision for family in embedded_families()},
        "pairs": pairs,
    }


def _rate(flags: Iterable[bool]) -> str:
    seen = list(flags)
    return wilson(sum(seen), len(seen))


def _print_rates(title: str, measured: Sequence[Measured]) -> None:
    if not measured:
        return
    print(f"\n{title}: share that is UNSAFE in at least one view, with 95 % Wilson interval")
    for family in FAMILY_PARAMETERS:
        rates = "   ".join(
            f"{setting} {_rate(sample.flagged[family, setting] for sample in measured)}" for setting in SETTINGS
        )
        print(f"  {family:22} {rates}")
    anyone = [any(sample.flagged[family, "default"] for family in FAMILY_PARAMETERS) for sample in measured]
    print(f"  {'any of the four':22} default {_rate(anyone)}")
    strictest = [any(sample.flagged[family, "strictest"] for family in FAMILY_PARAMETERS) for sample in measured]
    print(f"  {'any, all strictest':22} default {_rate(strictest)}")
    print(
        f"  {'or blocked by facts':22} default {_rate(flag or sample.blocked for flag, sample in zip(anyone, measured, strict=True))}"
    )


def main() -> None:
    """Measure, print, and rewrite the file of error correlations."""
    if not CORPORA.is_dir():
        raise SystemExit(f"{CORPORA} is not there")
    everything = [
        sample for corpus in ("dev-benign", "dev-fixtures", "bench-skillfortify") for sample in measure(corpus)
    ]
    for corpus in ("dev-benign", "dev-fixtures", "bench-skillfortify"):
        for label in ("benign", "malicious", "dualuse"):
            chosen = [sample for sample in everything if (sample.corpus, sample.label) == (corpus, label)]
            _print_rates(f"{corpus}, {label}", chosen)
    _print_rates(
        "our payloads hidden in honest skills (worded by us, signatures amended after a first run)", measure_hidden()
    )
    scored = [sample for sample in everything if sample.corpus != "bench-skillfortify" and sample.label != "dualuse"]
    document = error_correlation(scored)
    CORRELATION_FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    calibration.cache_clear()
    print(f"\ncorrelation of errors (phi) on {len(scored)} samples")
    for pair in document["pairs"]:
        print(f"  {' × '.join(pair['families']):48} {pair['ppm'] / PPM:6.3f}")
    families = sorted(FAMILY_PARAMETERS)
    for title, panel in (("one of each family", families), ("a round of ten seats", families * 2 + families[:2])):
        print(f"  Kish n_eff of {title}: {effective_votes_ppm(panel, calibration()) / PPM:.2f}")
    print("\nCPU milliseconds per package and view")
    for family in FAMILY_PARAMETERS:
        times = [
            sample.milliseconds[family, view] for sample in everything if sample.corpus == "dev-benign" for view in View
        ]
        print(
            f"  {family:22} median {statistics.median(times):6.2f}   mean {statistics.mean(times):6.2f}   most {max(times):7.2f}"
        )
    together = [
        sum(sample.milliseconds[family, view] for family in FAMILY_PARAMETERS)
        for sample in everything
        if sample.corpus == "dev-benign"
        for view in View
    ]
    print(
        f"  {'all four':22} median {statistics.median(together):6.2f}   mean {statistics.mean(together):6.2f}   most {max(together):7.2f}"
    )


if __name__ == "__main__":
    main()
