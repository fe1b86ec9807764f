"""Labelled packages: those beside this repository (``../shared/corpora``) or in folders, the frozen split, Wilson intervals, tables.

Nothing heavy is imported before it is needed: who measures the memory of other processes must be small itself.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
NAMES = ("dev-fixtures", "dev-benign", "bench-skillfortify")
PARTS = ("tune", "check", "held")
TITLES = {"malicious": "recall", "benign": "false-positive rate", "dualuse": "flag rate of dual-use"}
"""What the share of blocked packages of a label is called. Dual-use is never scored."""


@dataclass(frozen=True)
class Sample:
    """One package: its name, label (``malicious``, ``benign`` or ``dualuse``), category, and bytes by path."""

    name: str
    label: str
    category: str
    files: dict[str, bytes]


def part_of(sample: str) -> str:
    """The part of the frozen split that a sample belongs to: half to tune on, a quarter to check with, a quarter to report."""
    byte = hashlib.sha256(f"sigma split 1/{sample}".encode()).digest()[0]
    return "tune" if byte < 128 else "check" if byte < 192 else "held"


def drawn(samples: Iterable[str], part: str | None, at_most: int | None) -> list[str]:
    """The names in ``part`` (of all, if None); of more than ``at_most``, the first by a hash of the name. Sorted."""
    names = sorted(name for name in samples if part in {None, part_of(name)})
    first = sorted(names, key=lambda name: hashlib.sha256(f"sigma sample 1/{name}".encode()).digest())[:at_most]
    return sorted(first)


def read_corpus(name: str, part: str | None = None, at_most: int | None = None) -> list[Sample]:
    """The samples of a corpus, by name. Raises FileNotFoundError where it is absent."""
    import polars as pl

    file = CORPORA / f"{name}.parquet"
    if not file.is_file():
        raise FileNotFoundError(file)
    rows = pl.scan_parquet(file)
    names = drawn(rows.select(pl.col("sample").unique()).collect()["sample"], part, at_most)
    frame = rows.filter(pl.col("sample").is_in(names)).sort("sample", "path").collect()
    return [
        Sample(
            str(sample),
            group["label"][0],
            group["family"][0],
            dict(zip(group["path"], group["content"], strict=True)),
        )
        for (sample,), group in frame.group_by("sample", maintain_order=True)
    ]


def wilson(hits: int, total: int) -> str:
    """``rate [low, high] (hits/total)`` with the 95 % Wilson score interval."""
    if not total:
        return "-"
    z, rate = 1.96, hits / total
    centre = rate + z * z / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return f"{rate:.3f} [{max(0.0, (centre - spread) / scale):.3f}, {(centre + spread) / scale:.3f}] ({hits}/{total})"


def p95(values: Sequence[float]) -> float:
    """The value that 95 % of ``values`` do not exceed. Raises IndexError for none."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def print_rates(decisions: Sequence[tuple[str, str, dict[str, bool]]]) -> None:
    """The rates of one corpus. ``decisions``: label, category and, by scanner, whether it blocked, of each package."""
    scanners = list(decisions[0][2]) if decisions else []
    by_label: dict[str, list[dict[str, bool]]] = defaultdict(list)
    by_category: dict[tuple[str, str], list[dict[str, bool]]] = defaultdict(list)
    for label, category, blocked in decisions:
        by_label[label].append(blocked)
        by_category[label, category].append(blocked)
    for label, title in TITLES.items():
        for scanner in scanners if by_label[label] else ():
            hits = [blocked[scanner] for blocked in by_label[label]]
            print(f"  {title:22} {scanner:14} {wilson(sum(hits), len(hits))}")
    if 2 * len(by_category) > len(decisions):
        print(f"  no table: {len(by_category)} categories of {len(decisions)} packages")
        return
    print(f"  {'':10} {'category':22} {'of':>5}" + "".join(f" {scanner:>14}" for scanner in scanners))
    for (label, category), rows in sorted(by_category.items()):
        counts = "".join(f" {sum(blocked[scanner] for blocked in rows):14}" for scanner in scanners)
        print(f"  {label:10} {category:22} {len(rows):5}{counts}")
