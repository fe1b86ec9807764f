"""Every hostile archive is refused, with a stable code that names the member, the rule and the limit."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hostile_archives import HOSTILE

from sigma_core.policy import load_policy
from sigma_core.submissions.intake import read_archive_bytes
from sigma_core.submissions.refusal import RULES, Refusal

POLICY = load_policy()


@pytest.mark.parametrize("fault", HOSTILE)
def test_is_refused_by_its_fault(fault: str) -> None:
    data, code, member = HOSTILE[fault]
    with pytest.raises(Refusal) as caught:
        read_archive_bytes(data, "upload", POLICY)
    refusal = caught.value
    assert (refusal.code, refusal.member) == (code, member), refusal
    assert refusal.rule == RULES[code]
    assert refusal.rule in refusal.message
    if code.startswith("LIMIT_"):
        assert refusal.limit is not None
    answer = json.loads(json.dumps(refusal.as_json()))
    assert set(answer) == {"code", "member", "line", "rule", "limit", "found", "message"}
    assert refusal.message.isprintable()


def test_every_archive_rule_has_an_archive_that_breaks_it() -> None:
    broken = Counter(code for _, code, _ in HOSTILE.values())
    elsewhere = {code for code in RULES if "MANIFEST" in code} | {"BROKEN_SOURCE", "BROKEN_FILE"}
    assert set(RULES) - elsewhere == set(broken)


def test_the_kind_of_a_refusal_is_its_prefix() -> None:
    assert {code.partition("_")[0] for code in RULES} == {"LIMIT", "HOSTILE", "BROKEN"}
