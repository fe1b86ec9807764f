"""The catalogue page says what the rules say, and every rule is mapped to entries that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma_core.sandbox.catalogue import find_rules, page, rule_json, visible
from sigma_core.sandbox.rules import load_rules
from sigma_core.sandbox.taxonomies import ATLAS, OWASP_AGENTIC_SKILLS

BOOK = load_rules()
PAGE = Path(__file__).resolve().parents[3] / "docs" / "rules.md"


def test_the_page_is_the_one_that_the_rules_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(BOOK), "run: ./sigma rules --page > docs/rules.md"


def test_every_rule_has_its_section_and_nothing_in_it_is_invisible() -> None:
    text = page(BOOK)
    assert [line[4:] for line in text.split("\n") if line.startswith("### ")] == sorted(BOOK.rules)
    assert all(sign.isprintable() or sign in "\n\t" for sign in text)


@pytest.mark.parametrize("rule", BOOK.rules.values(), ids=lambda rule: rule.id)
def test_every_rule_is_mapped_to_both_lists(rule: object) -> None:
    described = rule_json(rule)  # type: ignore[arg-type]
    assert described["owasp"]["name"] == OWASP_AGENTIC_SKILLS.entries[described["owasp"]["id"]]
    assert described["atlas"]["name"] == ATLAS.entries[described["atlas"]["id"]]
    assert described["rationale"]
    assert described["fix"]


def test_fences_hold_what_they_hold() -> None:
    lines = page(BOOK).split("\n")
    fence = ""
    for line in lines:
        run = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if run == fence and line == run else fence
        elif len(run) >= 3:
            fence = run
    assert not fence


def test_rules_are_found_by_all_of_the_words() -> None:
    blocking = {rule.id for rule in find_rules(BOOK, ["tamper"])}
    assert blocking == {
        rule.id for rule in BOOK.rules.values() if rule.blocks == "TAMPER" or "tamper" in rule.title.lower()
    }
    assert find_rules(BOOK, ["tamper", "no-such-word"]) == []
    assert [rule.id for rule in find_rules(BOOK)] == sorted(BOOK.rules)


def test_what_cannot_be_seen_is_written_out() -> None:
    assert visible("a\u200bb\n\u202e\U000e0061") == "a\\u{200b}b\n\\u{202e}\\u{e0061}"
