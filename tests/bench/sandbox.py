"""How good and how fast the sandbox's facts are on the labelled packages beside this repository.

    python -m tests.bench.sandbox [--part tune|check|held] [--misses]

Prints recall and false-positive rate at the block decision with 95 % Wilson intervals, a table per category, CPU seconds, facts per CPU second and memory. Nothing in
the packages is run. ``--part`` keeps one part of a frozen split (by the hash of the sample's name): rules are tuned on ``tune``,
checked on ``check``, and ``held`` is only reported.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

import polars as pl

from sigma_core.policy import load_policy
from sigma_core.sandbox.decision import Decision, decide
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.rules import load_rules
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
NAMES = ("dev-fixtures", "dev-benign", "bench-skillfortify")


def part_of(sample: str) -> str:
    """The part of the frozen split that a sample belongs to: half to tune on, a quarter to check with, a quarter to report."""
    byte = hashlib.sha256(f"sigma split 1/{sample}".encode()).digest()[0]
    return "tune" if byte < 128 else "check" if byte < 192 else "held"


def wilson(hits: int, total: int) -> str:
    """``rate [low, high]`` with the 95 % Wilson score interval."""
    if not total:
        return "-"
    z, rate = 1.96, hits / total
    centre = rate + z * z / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return f"{rate:.3f} [{max(0.0, (centre - spread) / scale):.3f}, {(centre + spread) / scale:.3f}] ({hits}/{total})"


def read_packages(name: str) -> list[tuple[str, str, str, Package]]:
    """``(sample, label, category, package)`` of one corpus, by sample name."""
    from sigma_core.submissions.manifest import read_manifest

    limits = load_policy().package
    packages = []
    frame = pl.read_parquet(CORPORA / f"{name}.parquet").sort("sample", "path")
    for (sample,), rows in frame.group_by("sample", maintain_order=True):
        files = sorted_files(
            PackageFile.of(path, content) for path, content in zip(rows["path"], rows["content"], strict=True)
        )
        skill = next((file for file in files if file.path == "SKILL.md"), None)
        try:
            manifest = dict(read_manifest(skill.content, limits)) if skill else {}
        except Exception:
            manifest = {}
        packages.append(
            (str(sample), rows["label"][0], rows["family"][0], Package(files, manifest, ProductType.SKILL, str(sample)))
        )
    return packages


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; exit code 0, also where the corpora are absent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["tune", "check", "held"])
    parser.add_argument("--misses", action="store_true", help="list the samples that were decided wrongly")
    parser.add_argument("corpora", nargs="*", default=list(NAMES))
    options = parser.parse_args(arguments)
    if not CORPORA.is_dir():
        print(f"skipped: no labelled packages at {CORPORA}")
        return 0
    policy = load_policy()
    started = time.process_time()
    load_rules()
    print(f"load {time.process_time() - started:.2f} CPU s")
    for name in options.corpora or NAMES:
        samples = [entry for entry in read_packages(name) if options.part in {None, part_of(entry[0])}]
        blocked: dict[str, list[int]] = defaultdict(list)
        by_category: dict[tuple[str, str], list[int]] = defaultdict(list)
        seconds, fact_count, wrong, incomplete = [], 0, [], 0
        for sample, label, category, package in samples:
            before = time.process_time()
            facts = derive_facts(package, policy)
            seconds.append(time.process_time() - before)
            fact_count += len(facts.facts)
            incomplete += not facts.complete
            block = decide(facts.document) is Decision.BLOCK
            blocked[label].append(block)
            by_category[(label, category)].append(block)
            if label != "dualuse" and block != (label == "malicious"):
                wrong.append(
                    (
                        label,
                        sample,
                        [
                            (signal["ruleId"], f"{signal['file']}:{signal['line']}", signal["reason"][:110])
                            for signal in facts.blocking_signals[:4]
                        ],
                    )
                )
        print(
            f"\n== {name}{' (' + options.part + ')' if options.part else ''}: {len(samples)} samples, {incomplete} incomplete"
        )
        for label in ("malicious", "benign", "dualuse"):
            if blocked[label]:
                title = {"malicious": "recall", "benign": "false-positive rate", "dualuse": "flag rate of dual-use"}[
                    label
                ]
                print(f"  {title:24} {wilson(sum(blocked[label]), len(blocked[label]))}")
        if len(by_category) <= 40:
            for (label, category), decisions in sorted(by_category.items()):
                print(f"    {label:10} {category:22} {sum(decisions):4}/{len(decisions)}")
        ordered = sorted(seconds)
        print(
            f"  CPU s a skill: mean {sum(seconds) / len(seconds):.4f}, p95 {ordered[int(0.95 * (len(ordered) - 1))]:.4f}, max {ordered[-1]:.4f}; facts per CPU s {fact_count / max(sum(seconds), 1e-9):,.0f}"
        )
        if options.misses:
            for label, sample, signals in wrong:
                print(f"  {'MISS' if label == 'malicious' else 'FALSE'} {sample} {signals}")
    print(
        f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (with polars and the corpora in it)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
