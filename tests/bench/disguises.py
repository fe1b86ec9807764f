"""Mutation self-test of the sandbox: what blocks undisguised, in every disguise; and honest packages with harmless look-alikes of the same disguises.

    python -m tests.bench.disguises [--samples DIR] [--misses]

The samples are our own (``tests/sigma_core/sandbox``) and, with ``--samples``, every package ``DIR/<name>/SKILL.md``, which is only read. A disguise that finds nothing to change in a sample
does not count it. Recall is over the samples that block undisguised, with 95 % Wilson intervals; the look-alikes say how often an honest package blocks or warns only because of its dress.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sigma_core" / "sandbox"))

from disguises import DISGUISES
from look_alikes import LOOK_ALIKES
from packages_of_ours import HONEST, MALICIOUS, Files, package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from tests.bench.labelled import wilson

AIM = 0.85


def read_samples(folder: Path) -> dict[str, Files]:
    """``{name: files}`` of every package directly under ``folder``. Links are not followed."""
    samples: dict[str, Files] = {}
    for package in sorted(folder.iterdir()):
        if package.is_symlink() or not (package / "SKILL.md").is_file():
            continue
        files: Files = {}
        for path in sorted(package.rglob("*")):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                try:
                    files[str(path.relative_to(package))] = content.decode()
                except UnicodeDecodeError:
                    files[str(path.relative_to(package))] = content
        samples[package.name] = files
    return samples


def blocking_rules(files: Files) -> list[str]:
    """The rules whose signals block ``files``."""
    signals = derive_facts(package_of(files), load_policy()).blocking_signals
    return sorted({str(signal["ruleId"]) for signal in signals})


def main(arguments: list[str] | None = None) -> int:
    """Run the self-test; exit code 1 where a disguise keeps less than `AIM` of the recall or a look-alike blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, help="a folder of further malicious packages")
    parser.add_argument("--misses", action="store_true", help="name the samples that a disguise hides")
    options = parser.parse_args(arguments if arguments is not None else [])
    samples = dict(MALICIOUS) | (read_samples(options.samples) if options.samples else {})
    known = {name: files for name, files in samples.items() if blocking_rules(files)}
    print(f"blocked undisguised: {wilson(len(known), len(samples))}\n\nrecall per disguise")
    hits = total = 0
    weak = []
    for name, disguise in DISGUISES.items():
        dressed = {sample: changed for sample, files in known.items() if (changed := disguise(dict(files))) is not None}
        missed = [sample for sample, files in dressed.items() if not blocking_rules(files)]
        hits, total = hits + len(dressed) - len(missed), total + len(dressed)
        if dressed and len(missed) > (1 - AIM) * len(dressed):
            weak.append(name)
        print(
            f"  {name:44} {wilson(len(dressed) - len(missed), len(dressed))}{' ' + ', '.join(missed) if options.misses else ''}"
        )
    print(f"  {'all':44} {wilson(hits, total)}\n\nfalse positives per look-alike")
    wrong = _look_alikes()
    if weak:
        print(f"\nbelow {AIM}: {', '.join(weak)}")
    return 1 if weak or wrong else 0


def _look_alikes() -> int:
    wrong = count = 0
    honest = {name: files for name, files in HONEST.items() if not blocking_rules(files)}
    for name, dress in LOOK_ALIKES.items():
        blocked = [sample for sample, files in honest.items() if blocking_rules(dress(dict(files)))]
        wrong, count = wrong + len(blocked), count + len(honest)
        print(f"  {name:44} {wilson(len(blocked), len(honest))}{' ' + ', '.join(blocked) if blocked else ''}")
    print(f"  {'all':44} {wilson(wrong, count)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
