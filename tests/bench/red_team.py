"""What the facts make of packages and passages that red teams wrote for this project without seeing its rules.

    python -m tests.bench red_team

``red-team.parquet`` has the columns of the shared corpora: four sets of malicious packages after what registries saw, honest ones, honest ones that look alike, and plain honest ones.
``red-team-passages.parquet`` holds passages as they would stand in a SKILL.md (``family`` is what they ask for, or what they mirror). Nothing in either is ever run.

All but the half ``apart`` of the third set were in sight while rules were written, or taught the model of wording, or both: their rates show what was
learnt. Of the half ``apart`` only counts were looked at. What the model does on passages that it did not learn from stands in its own file.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from sigma_core.policy import Policy, load_policy
from sigma_core.sandbox.decision import decide
from sigma_core.sandbox.derive import derive_facts
from sigma_core.submissions.manifest import read_manifest
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files
from tests.bench.labelled import wilson

PACKAGES = Path(__file__).with_name("red-team.parquet")
PASSAGES = Path(__file__).with_name("red-team-passages.parquet")


def packages() -> Iterator[tuple[str, str, str, Package]]:
    """``(set, label, family, package)`` of every sample."""
    limits = load_policy().package
    for (sample,), rows in pl.read_parquet(PACKAGES).group_by("sample", maintain_order=True):
        files = sorted_files(
            PackageFile.of(path, content) for path, content in zip(rows["path"], rows["content"], strict=True)
        )
        skill = next(file for file in files if file.path == "SKILL.md")
        try:
            manifest = dict(read_manifest(skill.content, limits))
        except Exception:  # intake would refuse it; the facts must still come
            manifest = {}
        package = Package(files, manifest, ProductType.SKILL, str(sample))
        yield rows["source"][0], rows["label"][0], rows["family"][0], package


def passages() -> Iterator[tuple[str, str, str, Package]]:
    """``(set, label, family, package)``: each passage in a SKILL.md of its own that says nothing else."""
    manifest = {"name": "notes", "description": "Helps with notes and tasks."}
    for row in pl.read_parquet(PASSAGES).iter_rows(named=True):
        text = f"---\nname: notes\ndescription: Helps with notes and tasks.\n---\n# Notes\n\n## Workflow\n\n{row['text']}\n\n## Output\n\nA table.\n"
        package = Package((PackageFile.of("SKILL.md", text.encode()),), manifest, ProductType.SKILL, str(row["sample"]))
        yield row["set"], row["label"], row["family"], package


def measure(title: str, samples: Iterator[tuple[str, str, str, Package]], policy: Policy) -> None:
    """Print the share blocked by set and label, then by family."""
    blocked: dict[tuple[str, str], list[bool]] = defaultdict(list)
    families: dict[tuple[str, str], list[bool]] = defaultdict(list)
    started, count = time.process_time(), 0
    for group, label, family, package in samples:
        decision = decide(derive_facts(package, policy).document) == "block"
        blocked[(group, label)].append(decision)
        families[(label, family)].append(decision)
        count += 1
    print(f"\n== {title}: {count} samples, {(time.process_time() - started) / max(1, count):.4f} CPU s each")
    for (group, label), decisions in sorted(blocked.items()):
        print(f"  {group:18} {label:10} blocked {wilson(sum(decisions), len(decisions))}")
    for (label, family), decisions in sorted(families.items()):
        if label == "malicious":
            print(f"    {family:26} {sum(decisions):3}/{len(decisions)}")


def main() -> int:
    """Run the bench."""
    policy = load_policy()
    measure("packages", packages(), policy)
    measure("passages", passages(), policy)
    return 0


if __name__ == "__main__":
    sys.exit(main())
