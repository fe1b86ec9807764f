"""Canaries: how often each embedded family cites a planted file, and what it says of the bank's packages.

    ./sigma bench canaries

Files are planted into real published skills (``dev-benign`` of ``../shared/corpora``), one variant of each text into each skill; a
family is asked at the strict and at the mild end of the range that its validators declare. The policy plants a text for a
family only where nothing was missed at the mild end.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict

from sigma_core.audit.canaries.bank import FILES, PACKAGES, canary_package, items, planted_file
from sigma_core.audit.canaries.labels import defect_of_file, package_label
from sigma_core.audit.canaries.planting import Answer, answer_of, with_file
from sigma_core.audit.families import FAMILY_PARAMETERS, embedded_families
from sigma_core.audit.grounding import ground
from sigma_core.audit.model import Verdict, View
from sigma_core.audit.views import view_of
from sigma_core.canonical import sha256_hex
from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.submissions.member_names import TakenNames
from tests.bench.families import packages
from tests.bench.labelled import wilson

POLICY = load_policy()
VARIANTS_OF_A_PACKAGE = 8
ENDS = {"strict": "lowest", "mild": "highest"}


def main() -> None:
    """Print both tables, and what a round pays for a planted file."""
    planted()
    whole_packages()


def planted(every: int = 1) -> None:
    """Sensitivity of each family to each text for planting."""
    missed: dict[tuple[str, str, str], int] = defaultdict(int)
    seen: Counter[str] = Counter()
    seconds: dict[str, list[float]] = defaultdict(list)
    for number, (name, _, _, package) in enumerate(packages("dev-benign")):
        if number % every:
            continue
        for item in items(FILES):
            file = planted_file(item, sha256_hex(f"bench/{name}/{item}".encode()), TakenNames(package.by_path))
            assert file is not None, name
            whole = with_file(package, file)
            started = time.process_time()
            facts = derive_facts(whole, POLICY)
            seconds["facts"].append(time.process_time() - started)
            seen[item] += 1
            for view in View:
                shown = view_of(whole, view)
                for family in embedded_families():
                    started = time.process_time()
                    analysis = family.analyse(shown, facts, view)
                    seconds[family.family].append(time.process_time() - started)
                    for end, bound in ENDS.items():
                        parameters = {each.name: getattr(each, bound) for each in FAMILY_PARAMETERS[family.family]}
                        result = ground(family.decide(analysis, parameters), shown, POLICY.audit)
                        missed[item, family.family, end] += answer_of(result.as_json(), file.path) is not Answer.CAUGHT
    print(
        "\nPlanted files that were not cited, of views shown (both views of each skill); strict end / mild end of the range"
    )
    print(f"{'text':<6}{'defect':<20}{'views':>7}  " + "".join(f"{family:>26}" for family in FAMILY_PARAMETERS))
    for item in items(FILES):
        cells = (f"{missed[item, family, 'strict']} / {missed[item, family, 'mild']}" for family in FAMILY_PARAMETERS)
        print(f"{item:<6}{defect_of_file(item):<20}{2 * seen[item]:>7}  " + "".join(f"{cell:>26}" for cell in cells))
    most = {name: f"{1_000 * statistics.median(values):.1f} ms" for name, values in seconds.items()}
    print(
        f"median CPU time of one planted view: {most}; facts p95 {1_000 * statistics.quantiles(seconds['facts'], n=20)[-1]:.1f} ms"
    )


def whole_packages() -> None:
    """Sensitivity and specificity of each family on the bank's packages, both views."""
    right: Counter[tuple[str, str, Verdict]] = Counter()
    asked: Counter[Verdict] = Counter()
    blocked: Counter[Verdict] = Counter()
    for item in items(PACKAGES):
        truth = package_label(item).verdict
        for number in range(VARIANTS_OF_A_PACKAGE):
            package = canary_package(item, sha256_hex(f"bench/{item}/{number}".encode()), POLICY)
            facts = derive_facts(package, POLICY)
            blocked[truth] += bool(facts.blocking_signals)
            for view in View:
                shown = view_of(package, view)
                asked[truth] += 1
                for family in embedded_families():
                    analysis = family.analyse(shown, facts, view)
                    for end, bound in ENDS.items():
                        parameters = {each.name: getattr(each, bound) for each in FAMILY_PARAMETERS[family.family]}
                        verdict = ground(family.decide(analysis, parameters), shown, POLICY.audit).verdict
                        right[family.family, end, truth] += verdict is truth
    print("\nWhole packages, votes with the label of votes asked (95 % Wilson interval)")
    for family in FAMILY_PARAMETERS:
        for end in ENDS:
            for truth, name in ((Verdict.UNSAFE, "sensitivity"), (Verdict.SAFE, "specificity")):
                hits, total = right[family, end, truth], asked[truth]
                print(f"{family:<24}{end:<8}{name:<13}{wilson(hits, total)}")
    print(
        f"packages with a blocking signal: UNSAFE {blocked[Verdict.UNSAFE]} of {asked[Verdict.UNSAFE] // 2}, "
        f"SAFE {blocked[Verdict.SAFE]} of {asked[Verdict.SAFE] // 2}"
    )
