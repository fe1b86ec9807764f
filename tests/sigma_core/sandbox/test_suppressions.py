"""Suppressions: who vouched for which finding, why and until when; never a word of the package's own."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages_of_ours import HONEST, MALICIOUS, package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox import fingerprints
from sigma_core.sandbox.decision import Decision, findings
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import FactsDocument, Rank
from sigma_core.sandbox.rules import load_rules
from sigma_core.sandbox.sarif import to_sarif
from sigma_core.sandbox.suppressions import (
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    SuppressionError,
    Suppressions,
    View,
    read_suppressions,
    suppression_report,
    view,
)

TODAY = date(2026, 11, 21)
SOFT = next(
    rule.id for rule in load_rules().rules.values() if rule.blocks is None and Rank[rule.severity] >= Rank.MEDIUM
)
BLOCKING = next(rule.id for rule in load_rules().rules.values() if rule.blocks is not None)
HASH = "0" * 64


@pytest.fixture(scope="module")
def hostile() -> FactsDocument:
    return derive_facts(package_of(MALICIOUS["raw_address_installer"]), load_policy())


def entry(**values: str) -> str:
    lines = {"reason": '"Looked at."', "owner": '"me@example.com"', "expires": "2027-01-31"} | values
    return "[[suppression]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


def of(*entries: str) -> Suppressions:
    return read_suppressions("\n".join(entries).encode(), "accepted.toml")


def every_finding_of(facts: FactsDocument, **values: str) -> Suppressions:
    tree = facts.document["package"]["treeHash"]
    rules = sorted({fact["ruleId"] for fact in findings(facts.facts)})
    return of(*(entry(rule=f'"{rule}"', tree_hash=f'"{tree}"', **values) for rule in rules))


def seen(facts: FactsDocument, suppressions: Suppressions) -> View:
    return view(facts, suppressions, TODAY)


# What a file may say


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry(rule=f'"{SOFT}"'), "entry 1: scope it"),
        (entry(rule=f'"{SOFT}"', package='"a"', reason=""), "entry 1: reason is missing"),
        (entry(rule=f'"{SOFT}"', package='"a"', owner=""), "entry 1: owner is missing"),
        (entry(rule=f'"{SOFT}"', package='"a"', expires=""), "entry 1: expires is missing"),
        (entry(rule=f'"{SOFT}"', package='"a"', expires='"2027-01-31"'), "entry 1: expires must be a date"),
        (entry(rule=f'"{SOFT}"', package='"a"', expires="2027-01-31T00:00:00Z"), "entry 1: expires must be a date"),
        (entry(rule=f'"{SOFT}"', package='"a"', reason='"  "'), "entry 1: reason must be a text"),
        (entry(rule=f'"{SOFT}"', package="3"), "entry 1: package must be a text"),
        (entry(rule=f'"{SOFT}"', tree_hash='"abc"'), "entry 1: tree_hash must be 64"),
        (entry(rule=f'"{SOFT}"', package='"a"', file='"x"'), "entry 1: unknown key 'file'"),
        (entry(rule='"SIGMA-NOPE-001"', package='"a"'), "entry 1: there is no rule 'SIGMA-NOPE-001'"),
        (entry(rule=f'"{BLOCKING}"', package='"a"'), "for exact bytes only"),
        ("suppressions = []", "[[suppression]] entries and nothing else"),
        ("suppression = 3", "[[suppression]] entries and nothing else"),
        ("= 3", "not TOML"),
        ("a = " + "[" * 5_000, "not TOML"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(SuppressionError) as refused:
        of(text)
    assert words in str(refused.value)
    assert refused.value.message.startswith("accepted.toml")


def test_a_refusal_names_the_line_of_its_entry() -> None:
    good, bad = entry(rule=f'"{SOFT}"', package='"a"'), entry(rule='"SIGMA-NOPE-001"', package='"a"')
    with pytest.raises(SuppressionError, match=r"^accepted\.toml:8: entry 2: "):
        of(good, bad)


def test_size_and_number_are_bounded() -> None:
    with pytest.raises(SuppressionError, match="larger than"):
        read_suppressions(b"#" * (MAX_FILE_BYTES + 1), "accepted.toml")
    many = "suppression = [" + "{}," * (MAX_ENTRIES + 1) + "]"
    with pytest.raises(SuppressionError, match="more than"):
        of(many)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(SuppressionError):
        assert read_suppressions(data, "accepted.toml").entries == ()


# What they do


def test_facts_and_their_hash_stay_as_they_are(hostile: FactsDocument) -> None:
    before = hostile.canonical_bytes
    assert seen(hostile, every_finding_of(hostile)).suppressed
    assert FactsDocument(hostile.document).canonical_bytes == before


def test_what_is_suppressed_is_neither_decided_on_nor_gone(hostile: FactsDocument) -> None:
    suppressions = every_finding_of(hostile)
    looked = seen(hostile, suppressions)
    assert (looked.decision, looked.decision_without) == (Decision.ALLOW, Decision.BLOCK)
    assert looked.document["risk"]["blockingSignals"] == []
    report = suppression_report(looked, suppressions)
    assert report["sha256"] == suppressions.sha256
    assert [item["fact"] for item in report["suppressed"]] == findings(hostile.facts)
    assert {(item["owner"], item["reason"], item["expires"]) for item in report["suppressed"]} == {
        ("me@example.com", "Looked at.", "2027-01-31")
    }


def test_other_bytes_under_the_same_name_are_not_covered(hostile: FactsDocument) -> None:
    changed = derive_facts(package_of({**MALICIOUS["raw_address_installer"], "NOTES.md": "x"}), load_policy())
    looked = seen(changed, every_finding_of(hostile))
    assert looked.suppressed == ()
    assert looked.decision is Decision.BLOCK


def test_an_entry_holds_through_its_last_day_and_is_named_after(hostile: FactsDocument) -> None:
    suppressions = every_finding_of(hostile, expires="2026-11-21")
    assert view(hostile, suppressions, date(2026, 11, 21)).decision is Decision.ALLOW
    after = view(hostile, suppressions, date(2026, 11, 22))
    assert (after.decision, after.suppressed) == (Decision.BLOCK, ())
    assert len(after.expired) == len(suppressions.entries)


def test_incomplete_coverage_cannot_be_suppressed(hostile: FactsDocument) -> None:
    coverage = {**hostile.document["coverage"], "complete": False}
    partial = FactsDocument({**hostile.document, "coverage": coverage})
    assert seen(partial, every_finding_of(partial)).decision is Decision.WARN


def test_a_fingerprint_covers_one_finding(hostile: FactsDocument) -> None:
    tree = hostile.document["package"]["treeHash"]
    fact = findings(hostile.facts)[0]
    mark = fingerprints.in_tree(fact, tree)
    looked = seen(hostile, of(entry(rule=f'"{fact["ruleId"]}"', fingerprint=f'"{mark}"')))
    assert [covered for covered, _ in looked.suppressed] == [fact]


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("scripts/*.py", "scripts/a.py", True),
        ("scripts/*.py", "scripts/deep/a.py", False),
        ("scripts/**", "scripts/deep/a.py", True),
        ("**/a.py", "a.py", True),
        ("**/a.py", "scripts/deep/a.py", True),
        ("scripts/?.py", "scripts/a.py", True),
        ("scripts/?.py", "scripts/ab.py", False),
        ("a.py", "aXpy", False),
        ("a+(b).py", "a+(b).py", True),
        ("*", "line\nbreak", True),
    ],
)
def test_paths_are_globs(hostile: FactsDocument, pattern: str, path: str, covered: bool) -> None:
    fact: dict[str, Any] = {**findings(hostile.facts)[0], "ruleId": SOFT, "file": path}
    [only] = of(entry(rule=f'"{SOFT}"', package='"p"', path=f"'{pattern}'")).entries
    assert only.covers(fact, "p", HASH) is covered
    assert not only.covers(fact, "another", HASH)


def test_without_a_file_the_view_is_the_document() -> None:
    facts = derive_facts(package_of(HONEST["documentation_only"]), load_policy())
    looked = view(facts, None, TODAY)
    assert looked.document is facts.document
    assert looked.decision is looked.decision_without


def test_sarif_keeps_suppressed_results_and_says_who_vouched(hostile: FactsDocument) -> None:
    suppressions = every_finding_of(hostile)
    looked = seen(hostile, suppressions)
    plain = to_sarif(hostile, "example", "1.0.0")["runs"][0]
    run = to_sarif(hostile, "example", "1.0.0", looked.suppressed, suppressions.sha256)["runs"][0]
    assert len(run["results"]) == len(plain["results"])
    marked = [result for result in run["results"] if "suppressions" in result]
    assert len(marked) == len(looked.suppressed)
    assert marked[0]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "Looked at.",
            "properties": {
                "owner": "me@example.com",
                "expires": "2027-01-31",
                "entry": marked[0]["suppressions"][0]["properties"]["entry"],
            },
        }
    ]
    assert run["properties"]["suppressionsSha256"] == suppressions.sha256
    assert "suppressionsSha256" not in plain["properties"]
