"""`sigma rules`: the rules behind the facts."""

from __future__ import annotations

from collections.abc import Callable

from command_line import ROOT, Said

from sigma_core.sandbox.rules import load_rules

BOOK = load_rules()


def test_all_rules_are_listed_by_id(sigma: Callable[..., Said]) -> None:
    listed = [line.split()[0] for line in sigma("rules").stdout.splitlines()]
    assert listed == sorted(BOOK.rules)


def test_an_id_tells_one_rule_in_full(sigma: Callable[..., Said]) -> None:
    rule = next(rule for rule in BOOK.rules.values() if rule.positive and rule.negative)
    said = sigma("rules", rule.id.lower()).stdout
    assert said.startswith(f"{rule.id}  {rule.title}\n")
    assert {"Why", "Fix", "Reported:", "Not"} <= set(said.split())


def test_json_has_the_samples_and_the_hash_of_the_packs(sigma: Callable[..., Said]) -> None:
    document = sigma("rules", "--json").json
    assert document["rulePackHash"] == BOOK.sha256
    assert [rule["id"] for rule in document["rules"]] == sorted(BOOK.rules)


def test_the_page_is_the_one_in_the_documents(sigma: Callable[..., Said]) -> None:
    assert sigma("rules", "--page").stdout == (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_words_that_no_rule_has_are_refused(sigma: Callable[..., Said]) -> None:
    assert sigma("rules", "no-such-word", "--json").error["code"] == "RULE_UNKNOWN"
    assert sigma("rules", "--page", "--json").exit_code == 2
