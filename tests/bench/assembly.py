"""Cost of drawing panels and of deciding, in CPU seconds, each beside a baseline of the same run.

Selection: both panels of every submission are drawn from one pool, caps and conflicts included; the baseline is
`random.choices` on the same cumulative weights, the plain weighted lottery without a seed that anyone can check and without
rules. Consensus: decisions on mixed tallies; the baseline counts the same votes with `collections.Counter`.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable

from sigma_core.assembly.consensus import Vote, decide
from sigma_core.assembly.selection import Pool, draw_panel, selection_seed
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.policy import load_policy

FAMILIES = 12
VALIDATORS_PER_OPERATOR = 20


def snapshot_of(validators: int) -> WeightsSnapshot:
    """Weights with a heavy tail (Pareto, shape 1.2), in micro-USD of 100 USD and more."""
    generator = random.Random(20261121)
    return WeightsSnapshot.of(
        1,
        "00" * 32,
        (
            WeightRow(
                f"val_{number:06}",
                f"op_{number // VALIDATORS_PER_OPERATOR:05}",
                f"family_{number % FAMILIES:02}",
                int(generator.paretovariate(1.2) * 100_000_000),
                generator.randrange(1_000_001),
            )
            for number in range(validators)
        ),
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def bench_selection(validators: int, submissions: int) -> None:
    """Print CPU seconds of pool and draws, and the ratio to the plain lottery."""
    rules = load_policy().assembly
    snapshot = snapshot_of(validators)
    root_seconds = cpu_seconds(lambda: snapshot.merkle_root)
    pools: list[Pool] = []
    pool_seconds = cpu_seconds(lambda: pools.append(Pool.of(snapshot, rules)))
    pool, tickets = pools[0], 0

    def draw_all() -> None:
        nonlocal tickets
        for number in range(submissions):
            seed = selection_seed(f"rnd_{number}_r1", "aa" * 32, snapshot.merkle_root, "bb" * 32)
            first = draw_panel(pool, seed, 1, rules.seats_per_phase, rules)
            second = draw_panel(pool, seed, 2, rules.seats_per_phase, rules, earlier=(first,))
            tickets += first.next_ticket + second.next_ticket

    cumulative = [*pool.prefix_sums]
    generator = random.Random(1)

    def plain_lottery() -> None:
        for _ in range(submissions * 2):
            generator.choices(pool.rows, cum_weights=cumulative, k=rules.seats_per_phase)

    seconds, baseline = cpu_seconds(draw_all), cpu_seconds(plain_lottery)
    seats = submissions * 2 * rules.seats_per_phase
    print(
        f"selection: {validators:,} validators, {submissions:,} submissions, 2 phases of {rules.seats_per_phase} seats"
    )
    print(f"  Merkle root of the weights, once a snapshot   {root_seconds:8.3f} CPU s")
    print(f"  pool of shares, once a snapshot               {pool_seconds:8.3f} CPU s")
    print(f"  draws                                         {seconds:8.3f} CPU s  {seats / seconds:12,.0f} seats/s")
    print(f"  tickets a seat                                {tickets / seats:8.3f}")
    print(f"  baseline: random.choices, same seats          {baseline:8.3f} CPU s  {seats / baseline:12,.0f} seats/s")
    print(f"  ratio draws / baseline                        {seconds / baseline:8.2f}")


def bench_consensus(decisions: int) -> None:
    """Print decisions a CPU second, and the ratio to counting the votes."""
    rules = load_policy().assembly
    panels = list(itertools.combinations_with_replacement(Vote, rules.seats_per_phase))
    signal = {"kind": "TAMPER", "ruleId": "R1", "reason": "why", "file": "SKILL.md", "line": 3}
    cases = list(itertools.islice(itertools.cycle(itertools.product(panels, panels, ((), (signal,)))), decisions))

    def decide_all() -> None:
        for one, two, signals in cases:
            decide(one, two, signals=signals, coverage_complete=True, rules=rules)

    def count_all() -> None:
        for one, two, _ in cases:
            Counter(one), Counter(two)

    seconds, baseline = cpu_seconds(decide_all), cpu_seconds(count_all)
    print(f"consensus: {decisions:,} decisions over all tallies, with and without a risk signal")
    print(f"  decide                                        {decisions / seconds:12,.0f} decisions/CPU s")
    print(f"  baseline: Counter of both panels              {decisions / baseline:12,.0f} /CPU s")
    print(f"  ratio decide / baseline                       {seconds / baseline:8.2f}")


def main() -> None:
    """Run both at the size that the protocol is designed for."""
    bench_selection(validators=100_000, submissions=10_000)
    bench_consensus(50_000)


if __name__ == "__main__":
    main()
