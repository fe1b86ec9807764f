"""The shape of a sealed payload: one rule a field, checked when a payload is built and again when one is verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sigma_core.certificates.refusals import shown
from sigma_core.certificates.vocabulary import OUTCOMES, SCHEMA, RoundType, TriggerSource
from sigma_core.errors import SigmaError
from sigma_core.sandbox.facts import RiskLevel, SecurityLevel
from sigma_core.submissions.package import ProductType, SourceType
from sigma_core.timestamps import iso_utc, parse_iso_utc

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""A package is 512 KiB by default policy; hosts, calls and paths read from it are in the payload once or twice."""

MAX_TEXT = 65_536

Rule = Callable[[Any, str], None]
"""Called with a value and its place; raises PayloadError when the value breaks the rule."""


class PayloadError(SigmaError):
    """A value that cannot be sealed; names the field and the rule."""

    code = "PAYLOAD_INVALID"


def _rule(what: str, holds: Callable[[Any], bool]) -> Rule:
    def check(value: Any, place: str) -> None:
        if not holds(value):
            raise PayloadError(f"{place}: expected {what}, found {shown(value)}")

    return check


def _text(most: int) -> Rule:
    return _rule(f"a text of at most {most} characters", lambda value: type(value) is str and len(value) <= most)


def _integer(least: int, most: int | None = None) -> Rule:
    what = f"an integer from {least}" + ("" if most is None else f" to {most}")
    return _rule(what, lambda value: type(value) is int and least <= value and (most is None or value <= most))


def _hex(digits: int) -> Rule:
    # `strip` eats hex digits from both ends: what is left is not one.
    return _rule(
        f"{digits} lower-case hex digits",
        lambda value: type(value) is str and len(value) == digits and not value.strip("0123456789abcdef"),
    )


def _one_of(*words: str) -> Rule:
    return _rule(f"one of {', '.join(words)}", lambda value: type(value) is str and value in words)


def _is_wire_time(value: Any) -> bool:
    try:
        return type(value) is str and iso_utc(parse_iso_utc(value)) == value
    except ValueError:
        return False


def _nullable(rule: Rule) -> Rule:
    def check(value: Any, place: str) -> None:
        if value is not None:
            rule(value, place)

    return check


def _list_of(rule: Rule, least: int = 0) -> Rule:
    def check(value: Any, place: str) -> None:
        if type(value) is not list or len(value) < least:
            raise PayloadError(f"{place}: expected a list of at least {least}, found {shown(value)}")
        for index, item in enumerate(value):
            rule(item, f"{place}[{index}]")

    return check


def _record(fields: Mapping[str, Rule], *, more: bool = False) -> Rule:
    """An object with these fields; others too if ``more``."""

    def check(value: Any, place: str) -> None:
        if type(value) is not dict:
            raise PayloadError(f"{place}: expected an object, found {shown(value)}")
        if value.keys() != fields.keys():
            missing, unknown = sorted(fields.keys() - value.keys()), sorted(map(str, value.keys() - fields.keys()))
            if missing:
                raise PayloadError(f"{place}: {missing[0]} is missing")
            if not more:
                raise PayloadError(f"{place}: {shown(unknown[0])} is not a field of this schema")
        for name, rule in fields.items():
            rule(value[name], f"{place}.{name}")

    return check


_ANY: Rule = _rule("any value", lambda _: True)
_BOOLEAN = _rule("true or false", lambda value: type(value) is bool)
_TIME = _rule("a UTC time with milliseconds and Z", _is_wire_time)
_NAME = _rule("a text of 1 to 512 characters", lambda value: type(value) is str and 1 <= len(value) <= 512)
_HASH = _hex(64)
_COUNT = _integer(0)
_TEXTS = _list_of(_text(MAX_TEXT))

_PAYLOAD = _record(
    {
        "schema": _one_of(SCHEMA),
        "notice": _text(MAX_TEXT),
        "certificateId": _NAME,
        "status": _one_of(*OUTCOMES),
        "issuedAt": _TIME,
        "expiresAt": _TIME,
        "statusList": _nullable(_record({"uri": _NAME, "index": _COUNT})),
        "submissionId": _NAME,
        "productType": _one_of(*ProductType),
        "skillName": _NAME,
        "skillVersion": _nullable(_text(512)),
        "skillHash": _nullable(_HASH),
        "treeHash": _HASH,
        "files": _list_of(
            _record({"path": _text(4096), "sha256": _HASH, "size": _COUNT, "executable": _BOOLEAN}), least=1
        ),
        "sourceRef": _nullable(_text(4096)),
        "sourceUrl": _nullable(_text(4096)),
        "source": _record(
            {
                "entry": _text(4096),
                "sourceRef": _nullable(_text(4096)),
                "sourceUrl": _nullable(_text(4096)),
                "sourceType": _one_of(*SourceType),
            }
        ),
        "devNotes": _text(MAX_TEXT),
        "smartContract": _ANY,
        "manifest": _record(
            {
                "safety": _record({"network": _ANY, "filesystem": _ANY}),
                "capabilities": _TEXTS,
                "externalCalls": _list_of(_record({"url": _ANY, "auth": _ANY, "method": _ANY, "reason": _ANY})),
            }
        ),
        "factsSha256": _HASH,
        "rulePackHash": _HASH,
        "sourceFacts": _record(
            {
                "externalHosts": _TEXTS,
                "manifestMismatchCount": _COUNT,
                "blocked": _BOOLEAN,
                "promptInjectionSignalCount": _COUNT,
                "realSecretSignalCount": _COUNT,
                "highRiskSignalCount": _COUNT,
            },
            more=True,
        ),
        "endpointReview": _record(
            {
                "analyzedAt": _TIME,
                "analysisMode": _NAME,
                "observedUrls": _list_of(_ANY),
                "observedHosts": _TEXTS,
                "endpointStatus": _NAME,
                "skippedEndpoints": _list_of(_record({"path": _ANY, "reason": _NAME}, more=True)),
                "declaredEndpoints": _list_of(_ANY),
                "disclosureWarning": _ANY,
            },
            more=True,
        ),
        "review": _record(
            {
                "securityLevel": _one_of(*SecurityLevel),
                "sandboxRiskLevel": _one_of(*RiskLevel),
                "retainedErrors": _list_of(_ANY),
                "retainedWarnings": _list_of(_ANY),
                "sandboxAnalyzedAt": _TIME,
            }
        ),
        "roundId": _NAME,
        "roundNumber": _integer(1),
        "roundType": _one_of(*RoundType),
        "triggerSource": _one_of(*TriggerSource),
        "policyHash": _HASH,
        "weightsEpoch": _COUNT,
        "weightsMerkleRoot": _HASH,
        "beacon": _record({"chain": _NAME, "round": _COUNT, "value": _NAME}),
        "votes": _list_of(
            _record({"phase": _integer(1), "SAFE": _COUNT, "UNSAFE": _COUNT, "ABSTAIN": _COUNT}), least=1
        ),
        "diversityDegraded": _BOOLEAN,
        "assuranceLevel": _integer(1, 3),
        "nEffPpm": _COUNT,
    }
)


def check_shape(document: Any) -> None:
    """Check every field of a payload against its rule. Raises PayloadError naming the first that breaks one."""
    _PAYLOAD(document, "payload")
    if parse_iso_utc(document["issuedAt"]) >= parse_iso_utc(document["expiresAt"]):
        raise PayloadError("payload.expiresAt: must be later than issuedAt")
    if document["skillHash"] is None and document["productType"] != ProductType.API:
        raise PayloadError(f"payload.skillHash: a {document['productType']} package has a SKILL.md")
    if (document["sourceRef"], document["sourceUrl"]) != (
        document["source"]["sourceRef"],
        document["source"]["sourceUrl"],
    ):
        raise PayloadError("payload.source: sourceRef and sourceUrl must be those of the payload")
    phases = [votes["phase"] for votes in document["votes"]]
    if phases != sorted(set(phases)):
        raise PayloadError("payload.votes: phases must be in order, each once")
