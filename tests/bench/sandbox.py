"""How good and how fast the sandbox's facts are on labelled packages.

    python -m tests.bench.sandbox [--part tune|check|held] [--sample N] [--misses] [CORPUS ...]
    python -m tests.bench.sandbox --folder DIR --label malicious|benign [--misses]

Recall and false-positive rate at the block decision with 95 % Wilson intervals, a table per category, CPU seconds, load time and memory. The packages are those beside
this repository, or every folder and archive directly in ``DIR``, which go through intake with the open limits. Nothing in the packages is run. ``--part`` keeps one part of a
frozen split (by the hash of the sample's name): rules are tuned on ``tune``, checked on ``check``, and ``held`` is only reported.

The sandbox runs in a process of its own, so that its memory and load time are its own: no polars, no corpus.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sigma_core.errors import SigmaError
from sigma_core.policy import load_policy
from sigma_core.sandbox.decision import Decision, decide
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.rules import load_rules
from sigma_core.submissions.manifest import empty_manifest, read_manifest
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files
from tests.bench.labelled import CORPORA, NAMES, PARTS, Sample, p95, print_rates, read_corpus

SCANNER = "SIGMA"


@dataclass(frozen=True)
class Measured:
    """What the facts of one package come to, and what they took. ``code`` says why intake refused it."""

    decision: Decision
    code: str | None = None
    complete: bool = True
    fact_count: int = 0
    cpu_seconds: float = 0.0
    signals: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """A refused package gets no facts, so no decision from them: it does not count as blocked."""
        return self.decision is Decision.BLOCK


def package_of(sample: Sample) -> Package:
    """The package with the manifest of its SKILL.md; an empty one where intake would refuse it: rates are of facts, not of intake."""
    files = sorted_files(PackageFile.of(path, content) for path, content in sample.files.items())
    skill = sample.files.get("SKILL.md")
    try:
        manifest = empty_manifest() if skill is None else read_manifest(skill, load_policy().package)
    except SigmaError:
        manifest = empty_manifest()
    return Package(files, manifest, ProductType.SKILL, sample.name)


def measured(sample: Sample | Path) -> Measured:
    """Facts and decision for a sample, or for the folder or archive at a path."""
    policy = load_policy()
    started = time.process_time()
    if isinstance(sample, Sample):
        package = package_of(sample)
    else:
        from cli.validate import package_limits
        from sigma_core.submissions.intake import read_package
        from sigma_core.submissions.refusal import Refusal

        try:
            package = read_package(sample, policy, limits=package_limits(policy, "open"))
        except Refusal as refusal:
            return Measured(Decision.REFUSED, refusal.code, cpu_seconds=time.process_time() - started)
    facts = derive_facts(package, policy)
    seconds = time.process_time() - started
    signals = tuple(
        f"{signal['ruleId']} {signal['file']}:{signal['line']} {signal['reason'][:110]}"
        for signal in facts.blocking_signals[:4]
    )
    return Measured(decide(facts.document), None, facts.complete, len(facts.facts), seconds, signals)


def loaded() -> float:
    """CPU seconds of this process until policy and rules are there: interpreter, imports, reading and checking."""
    load_policy()
    load_rules()
    return time.process_time()


def peak_megabytes() -> float:
    """Most memory that this process has held, in MB. Not ``ru_maxrss``, which a child inherits from who started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def report(
    title: str, samples: list[tuple[Sample | Path, str, str, str]], results: list[Measured], *, misses: bool
) -> None:
    """Print what came of ``samples``: each with its name, label and category."""
    refused = Counter(result.code for result in results if result.code)
    incomplete = sum(not result.complete for result in results)
    print(
        f"\n== {title}: {len(samples)} packages, {incomplete} incomplete, {refused.total()} refused {dict(refused) or ''}"
    )
    print_rates(
        [
            (label, category, {SCANNER: result.blocks})
            for (_, _, label, category), result in zip(samples, results, strict=True)
        ]
    )
    seconds = [result.cpu_seconds for result in results]
    fact_count = sum(result.fact_count for result in results)
    if seconds:
        print(
            f"  CPU s a package: mean {sum(seconds) / len(seconds):.4f}, p95 {p95(seconds):.4f}, max {max(seconds):.4f}; "
            f"facts per CPU s {fact_count / max(sum(seconds), 1e-9):,.0f}"
        )
    for (_, name, label, _), result in zip(samples, results, strict=True) if misses else ():
        if label != "dualuse" and result.blocks != (label == "malicious"):
            what = "FALSE" if result.blocks else "MISS"
            print(f"  {what} {name} {result.code or ''} {'; '.join(result.signals)}".rstrip())


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; exit code 0, also where the corpora are absent, 2 for a folder that is none."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sandbox", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--sample", type=int, metavar="N", help="N packages of each corpus, always the same")
    parser.add_argument("--misses", action="store_true", help="list the packages that were decided wrongly, and why")
    parser.add_argument("--folder", type=Path, help="measure the packages in this folder instead")
    parser.add_argument("--label", choices=["malicious", "benign"], help="what the packages in --folder are")
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help=", ".join(NAMES))
    options = parser.parse_args(arguments or [])
    if unknown := set(options.corpora) - set(NAMES):
        parser.error(f"no such corpus: {', '.join(sorted(unknown))}")
    if (options.folder is None) != (options.label is None):
        parser.error("--folder and --label go together")
    if options.folder is not None and not options.folder.is_dir():
        parser.error(f"no such folder: {options.folder}")
    if options.folder is None and not CORPORA.is_dir():
        print("skipped: there are no labelled packages beside this repository")
        return 0
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as sandbox:
        print(f"load {sandbox.submit(loaded).result():.2f} CPU s, {sandbox.submit(peak_megabytes).result():.0f} MB")
        for title, samples in _sets(options):
            results = list(sandbox.map(measured, [sample for sample, _, _, _ in samples]))
            report(title, samples, results, misses=options.misses)
        print(f"\npeak memory of the sandbox's process: {sandbox.submit(peak_megabytes).result():.0f} MB")
    return 0


def _sets(options: argparse.Namespace) -> Iterator[tuple[str, list[tuple[Sample | Path, str, str, str]]]]:
    """Title and samples of each set to measure."""
    if options.folder is not None:
        from cli.batch import packages_in

        paths = packages_in(options.folder)[: options.sample]
        yield options.folder.name, [(path, path.name, options.label, options.folder.name) for path in paths]
        return
    for name in options.corpora or NAMES:
        samples = read_corpus(name, options.part, options.sample)
        title = f"{name} ({options.part})" if options.part else name
        yield title, [(sample, sample.name, sample.label, sample.category) for sample in samples]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
