"""The shape of a sealed payload: one rule a field, checked when a payload is built and again when one is verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sigma_core.canonical import MAX_SAFE_INTEGER
from sigma_core.certificates.refusals import shown
from sigma_core.certificates.vocabulary import OUTCOMES, SCHEMA, RoundType, TriggerSource
from sigma_core.errors import SigmaError
from sigma_core.sandbox.facts import RiskLevel, SecurityLevel
from sigma_core.submissions.package import ProductType, SourceType

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""A package is 512 KiB by default policy; hosts, calls and paths read from it are in the payload once or twice."""

MAX_TEXT = 65_536

_ID_SIGNS = str.maketrans("", "", "-_")

Rule = Callable[[Any], None]
"""Called with a value; raises `_Broken` when the value breaks the rule."""


class PayloadError(SigmaError):
    """A value that cannot be sealed; names the field and the rule."""

    code = "PAYLOAD_INVALID"


class _Broken(Exception):
    """A broken rule. Each container that it passes on its way out adds its step to the place, so that a payload without
    faults never pays for naming places."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found
        self.steps: list[str] = []


def _rule(what: str, holds: Callable[[Any], bool]) -> Rule:
    def check(value: Any) -> None:
        if not holds(value):
            raise _Broken(what, shown(value))

    return check


def _text(most: int, least: int = 0) -> Rule:
    what = f"a text of {least} to {most} characters"
    return _rule(what, lambda value: type(value) is str and least <= len(value) <= most)


def _integer(least: int, most: int = MAX_SAFE_INTEGER) -> Rule:
    what = f"an integer from {least}" + ("" if most == MAX_SAFE_INTEGER else f" to {most}")
    return _rule(what, lambda value: type(value) is int and least <= value <= most)


def _hex(digits: int) -> Rule:
    # `strip` eats hex digits from both ends: what is left is not one.
    return _rule(
        f"{digits} lower-case hex digits",
        lambda value: type(value) is str and len(value) == digits and not value.strip("0123456789abcdef"),
    )


def _one_of(*words: str) -> Rule:
    return _rule(f"one of {', '.join(words)}", lambda value: type(value) is str and value in words)


def _is_identifier(value: Any) -> bool:
    return type(value) is str and len(value) <= 128 and value.isascii() and value.translate(_ID_SIGNS).isalnum()


def _is_wire_time(value: Any) -> bool:
    """Whether `iso_utc` would write it so."""
    try:
        return type(value) is str and datetime.fromisoformat(value).isoformat(timespec="milliseconds") == (
            value.removesuffix("Z") + "+00:00"
        )
    except ValueError:
        return False


def _nullable(rule: Rule) -> Rule:
    def check(value: Any) -> None:
        if value is not None:
            rule(value)

    return check


def _list_of(rule: Rule, least: int = 0) -> Rule:
    def check(value: Any) -> None:
        if type(value) is not list or len(value) < least:
            raise _Broken(f"a list of at least {least}", shown(value))
        for index, item in enumerate(value):
            try:
                rule(item)
            except _Broken as fault:
                fault.steps.append(f"[{index}]")
                raise

    return check


def _record(fields: Mapping[str, Rule], *, optional: Mapping[str, Rule] | None = None, more: bool = False) -> Rule:
    """An object with these fields; ``optional`` ones where they are; others too if ``more``."""
    rules, optional = tuple(fields.items()), optional or {}

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise _Broken("an object", shown(value))
        if not fields.keys() <= value.keys():
            raise _Broken(f"the field {min(fields.keys() - value.keys())}", "none")
        wanted = rules
        if len(value) > len(rules):
            wanted = rules + tuple((name, rule) for name, rule in optional.items() if name in value)
            if not more and len(value) > len(wanted):
                odd = value.keys() - fields.keys() - optional.keys()
                raise _Broken("fields of this schema only", shown(min(map(str, odd))))
        for name, rule in wanted:
            try:
                rule(value[name])
            except _Broken as fault:
                fault.steps.append(f".{name}")
                raise

    return check


def _any(value: Any) -> None:
    """A value whose shape another module answers for; `canonical_json` still limits it."""


_BOOLEAN = _rule("true or false", lambda value: type(value) is bool)
_TIME = _rule("a UTC time with milliseconds and Z", _is_wire_time)
_NAME = _text(512, least=1)
_ID = _rule("an identifier of at most 128 ASCII letters, digits, - and _", _is_identifier)
_HASH = _hex(64)
_COUNT = _integer(0)
_TEXTS = _list_of(_text(MAX_TEXT))

_PAYLOAD = _record(
    {
        "schema": _one_of(SCHEMA),
        "notice": _text(MAX_TEXT),
        "certificateId": _ID,
        "status": _one_of(*OUTCOMES),
        "issuedAt": _TIME,
        "expiresAt": _TIME,
        "statusList": _nullable(_record({"uri": _NAME, "index": _COUNT})),
        "submissionId": _ID,
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
        "smartContract": _any,
        "manifest": _record(
            {
                "safety": _record({"network": _any, "filesystem": _any}),
                "capabilities": _TEXTS,
                "externalCalls": _list_of(_record({"url": _any, "auth": _any, "method": _any, "reason": _any})),
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
                "observedUrls": _list_of(_any),
                "observedHosts": _TEXTS,
                "endpointStatus": _NAME,
                "skippedEndpoints": _list_of(_record({"path": _any, "reason": _NAME}, more=True)),
                "declaredEndpoints": _list_of(_any),
                "disclosureWarning": _any,
            },
            more=True,
        ),
        "review": _record(
            {
                "securityLevel": _one_of(*SecurityLevel),
                "sandboxRiskLevel": _one_of(*RiskLevel),
                "retainedErrors": _list_of(_any),
                "retainedWarnings": _list_of(_any),
                "sandboxAnalyzedAt": _TIME,
            }
        ),
        "roundId": _ID,
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
    },
    # Absent from what was issued before there was a log.
    optional={"transparencyLog": _NAME},
)


def check_shape(document: Any) -> None:
    """Check every field of a payload against its rule. Raises PayloadError naming the first that breaks one."""
    try:
        _PAYLOAD(document)
    except _Broken as fault:
        place = "payload" + "".join(reversed(fault.steps))
        raise PayloadError(f"{place}: expected {fault.expected}, found {fault.found}") from None
    if document["issuedAt"] >= document["expiresAt"]:  # one form of fixed width: text order is time order
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
