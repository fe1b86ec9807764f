"""What codes mean: every word that a certificate, a finding or an error can carry has its meaning, and no other has."""

from __future__ import annotations

from http_client import Client, assert_problem

from sigma_api.public.schemas import Explanations
from sigma_core.certificates.explanations import Subject, explain
from sigma_core.certificates.refusals import MEANING, Refusal
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.sandbox.facts import RiskLevel, SecurityLevel
from sigma_core.sandbox.rules import load_rules
from sigma_core.submissions.refusal import RULES

PATH = "/api/v1/public/explanations"


def test_every_code_has_a_meaning() -> None:
    book = load_rules()
    categories = {rule.category for rule in book.rules.values()}
    words = [*book.rules, *categories, *CertificateStatus, *SecurityLevel, *RiskLevel, *Refusal, *RULES]
    for code in words:
        meanings = explain(code, book)
        assert meanings, code
        assert all(each.code == code and each.meaning for each in meanings)
    assert all(explain(status, book)[0].advice for status in CertificateStatus)


def test_a_word_of_two_subjects_has_both_meanings() -> None:
    subjects = [each.subject for each in explain("REVOKED", load_rules())]
    assert subjects == [Subject.STATUS, Subject.VERIFICATION]
    assert explain("REVOKED", load_rules())[1].meaning == MEANING[Refusal.REVOKED]


def test_a_rule_is_explained_with_what_to_do_about_it(client: Client) -> None:
    response = client.get(f"{PATH}/SIGMA-THREAT-001")
    rule = load_rules().rules["SIGMA-THREAT-001"]
    [meaning] = Explanations.model_validate_json(response.content, strict=True).meanings
    assert meaning.advice == rule.fix
    assert rule.rationale in meaning.meaning
    assert (
        client.get(f"{PATH}/SIGMA-THREAT-001", headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    )


def test_what_is_no_code_of_ours_is_refused(client: Client) -> None:
    assert_problem(client.get(f"{PATH}/SIGMA-NONE-001"), "not-found")
    for code in ("x" * 65, "a%20b", "%00", "a.b"):
        assert_problem(client.get(f"{PATH}/{code}"), "invalid-parameter")
