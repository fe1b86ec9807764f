"""Workflows that run the code of a stranger's pull request with more than a stranger's rights."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox.configuration_listings import configuration_listings, may_hold_configuration
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces

_TRIGGER = "pull_request_target"
_TRIGGERED = re2.compile(r"(?m)^[^#\n]{0,120}\bpull_request_target\b[ \t]*(?:[:,\]}]|$)")
_STRANGERS_CODE = re2.compile(r"(?m)\bref\b[^\n]{0,40}github\.(?:event\.pull_request\.head\.(?:sha|ref)|head_ref)")
_RIGHTS = re2.compile(
    r"(?m)\bsecrets\.(\w+)|\bpermissions:[ \t]*(write-all)\b|^[ \t]+(contents|actions|packages|id-token):[ \t]*write\b"
)
_OWN_TOKEN = "GITHUB_TOKEN"


def judge_workflows(place: TextPlaces) -> Iterator[Finding]:
    """A finding where a workflow checks out the head of a stranger's pull request and hands out a secret or the right to write."""
    if not may_hold_configuration(place) or _TRIGGER not in place.text:
        return
    for listing in configuration_listings(place):
        trigger = _TRIGGERED.search(listing.text)
        if trigger is None or _STRANGERS_CODE.search(listing.text) is None:
            continue
        granted = {right for match in _RIGHTS.finditer(listing.text) for right in match.groups() if right}
        granted.discard(_OWN_TOKEN)
        if granted:
            start, end = listing.start + trigger.start(), listing.start + trigger.end()
            yield place.at("SIGMA-SUPPLY-038", f"{_TRIGGER}: {', '.join(sorted(granted))}", start, end, listing.context)
