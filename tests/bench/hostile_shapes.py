"""What ten times the size of hostile bytes costs, in CPU time, parser by parser.

    python -m tests.bench.hostile_shapes [--size BYTES] [--runs N] [--slowest N] [PARSER ...]

Each shape of ``tests/sigma_core/sandbox/hostile_shapes.py`` is made at ``--size`` and at ten times that, alone in a package, and its facts derived; the least of ``--runs`` counts. The aim is
at most 13 times the time for 10 times the size. A shape that takes less than `_FLOOR` seconds when large is not judged: what is measured there is the start of a package.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sigma_core" / "sandbox"))

from hostile_shapes import ALL, Shape
from packages_of_ours import package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.rules import load_rules

MOST = 13.0
_FLOOR = 0.02


def seconds(shape: Shape, size: int, runs: int) -> float:
    """Least CPU seconds of ``runs`` readings of the shape at ``size`` bytes."""
    policy, package = load_policy(), package_of({shape.path: shape.build(size)})
    least = float("inf")
    for _ in range(runs):
        started = time.process_time()
        derive_facts(package, policy)
        least = min(least, time.process_time() - started)
    return least


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; exit code 1 where a shape grows faster than the aim."""
    parsers = list(dict.fromkeys(shape.parser for shape in ALL))
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.hostile_shapes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--size", type=int, default=10_000, help="bytes of the small form (10,000)")
    parser.add_argument("--runs", type=int, default=3, help="readings of each, of which the quickest counts (3)")
    parser.add_argument("--slowest", type=int, default=12, help="how many of the slowest shapes to list (12)")
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=", ".join(parsers))
    options = parser.parse_args(arguments or [])
    if unknown := set(options.parsers) - set(parsers):
        parser.error(f"no such parser: {', '.join(sorted(unknown))}")
    load_rules()
    rows: dict[str, list[tuple[float, float, Shape]]] = defaultdict(list)
    for shape in ALL:
        if options.parsers and shape.parser not in options.parsers:
            continue
        small = seconds(shape, options.size, options.runs)
        large = seconds(shape, options.size * 10, options.runs)
        rows[shape.parser].append((large / small, large, shape))
    print(f"  {'':16} shapes  over {MOST:.0f}x  worst ratio  slowest at {options.size * 10:,} bytes, CPU s")
    over = []
    for name, measured in rows.items():
        judged = [row for row in measured if row[1] >= _FLOOR] or measured
        over += [row for row in measured if row[1] >= _FLOOR and row[0] > MOST]
        print(
            f"  {name:16} {len(measured):6} {sum(row[0] > MOST for row in judged):9} {max(row[0] for row in judged):12.1f} "
            f"{max(row[1] for row in measured):10.2f}"
        )
    everything = [row for measured in rows.values() for row in measured]
    for title, listed in (
        (f"over {MOST:.0f}x", sorted(over, key=lambda row: -row[0])),
        ("slowest", sorted(everything, key=lambda row: -row[1])[: options.slowest]),
    ):
        print(f"  {title}:" + ("" if listed else " none"))
        for ratio, large, shape in listed:
            print(f"    {shape.title:44} {ratio:6.1f}x {large:7.2f} s")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
