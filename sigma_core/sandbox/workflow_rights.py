"""Workflows that run the code of a stranger's pull request with more than a stranger's rights, or hand a secret to a stranger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import Listing, configuration_listings, may_hold_configuration
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass

_TRIGGER = "pull_request_target"
_TRIGGERED = re2.compile(r"(?m)^[^#\n]{0,120}\bpull_request_target\b[ \t]*(?:[:,\]}]|$)")
_STRANGERS_CODE = re2.compile(r"(?m)\bref\b[^\n]{0,40}github\.(?:event\.pull_request\.head\.(?:sha|ref)|head_ref)")
_RIGHTS = re2.compile(
    r"(?m)\bsecrets\.(\w+)|\bpermissions:[ \t]*(write-all)\b|^[ \t]+(contents|actions|packages|id-token):[ \t]*write\b"
)
_OWN_TOKEN = "GITHUB_TOKEN"
MOST = 400
"""Steps and secrets of one listing that are looked at."""
_STEP = re2.compile(r"(?m)^[ \t]*-[ \t]+(?:name|run|uses|id|if|env|with|shell|working-directory)\b")
_SECRET = r"\$\{\{\s*secrets\.(\w{1,100})\s*\}\}|\$\{\{\s*secrets\[['\"](\w{1,100})['\"]\]\s*\}\}"
_SECRETS = re2.compile(_SECRET)
_BOUND = re2.compile(rf"(?m)^[ \t]*-?[ \t]*(\w{{1,100}}):[ \t]*[\"']?[^\n]{{0,40}}(?:{_SECRET})")
_STRANGE = frozenset({HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE})
_USED = re2.compile(r"\$\{?(\w{1,100})|\benv[.:](\w{1,100})|environ(?:\.get)?[\[(][\"'](\w{1,100})")
_SENDS = re2.compile(
    r"\b(?:curl|wget|https?|xh|nc|ncat|Invoke-WebRequest|Invoke-RestMethod|iwr|irm|requests\.\w{3,6}|urlopen|fetch|axios)\b|\bwith:|\buses:"
)


def judge_workflows(
    declared: DeclaredSurface, place: TextPlaces, named_only_at: Callable[[str, Location], bool]
) -> Iterator[Finding]:
    """Findings where a workflow checks out the head of a stranger's pull request and hands out a secret or the right to write, and where one of its steps hands a secret to a stranger's host."""
    if not may_hold_configuration(place):
        return
    foreign, secret = _TRIGGER in place.text, "secrets" in place.text and "://" in place.text
    for listing in configuration_listings(place) if foreign or secret else ():
        if foreign:
            yield from _strangers_code(place, listing)
        if secret:
            yield from _secrets_sent(declared, place, listing, named_only_at)


def _strangers_code(place: TextPlaces, listing: Listing) -> Iterator[Finding]:
    trigger = _TRIGGERED.search(listing.text)
    if trigger is None or _STRANGERS_CODE.search(listing.text) is None:
        return
    granted = {right for match in _RIGHTS.finditer(listing.text) for right in match.groups() if right}
    granted.discard(_OWN_TOKEN)
    if granted:
        start, end = listing.start + trigger.start(), listing.start + trigger.end()
        yield place.at("SIGMA-SUPPLY-038", f"{_TRIGGER}: {', '.join(sorted(granted))}", start, end, listing.context)


def _secrets_sent(
    declared: DeclaredSurface, place: TextPlaces, listing: Listing, named_only_at: Callable[[str, Location], bool]
) -> Iterator[Finding]:
    """Steps that name a secret, or a variable which holds one, beside an address of a stranger."""
    variables = {
        match[1]: match[2] or match[3] for match in islice(_BOUND.finditer(listing.text), MOST) if match[1] != "run"
    }
    starts = [match.start() for match in islice(_STEP.finditer(listing.text), MOST)]
    for start, end in pairwise([*starts, len(listing.text)]):
        step = listing.text[start:end]
        if _SENDS.search(step) is None:
            continue
        named = {name for match in _SECRETS.finditer(step) for name in match.groups() if name}
        used = {name for match in _USED.finditer(step) for name in match.groups() if name}
        named |= {variables[name] for name in used & set(variables)}
        for first, last, url, host in vocabulary.urls_in(step) if named else ():
            sent = sorted(name for name in named if not _belongs(name, host))
            at = listing.start + start + first, listing.start + start + last
            if (
                not sent
                or vocabulary.classify_host(host) not in _STRANGE
                or declared.names_owner(host, title_only=True)
            ):
                continue
            finding = place.at("SIGMA-SUPPLY-042", f"{', '.join(sent)[:120]} -> {host}", *at, listing.context)
            if named_only_at(url, finding.location):
                yield finding


def _belongs(secret: str, host: str) -> bool:
    """Whether a secret is named after the host that gets it."""
    return any(len(part) >= 3 and part in host for part in secret.lower().split("_"))
