"""Keys of one service in the address of another, and comments that say what a program does with secrets: theft that stands in words, not in code."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

MOST = 100
"""Addresses and comments of one file that are looked at."""
MAX_COMMENT = 2_000
"""Characters of one comment that are read."""
SEVERAL_SECRETS = 2
_SERVICES = name_set(
    "openai anthropic claude gemini google github gh gitlab aws azure gcp stripe slack discord telegram hf huggingface openrouter npm pypi docker cloudflare vercel supabase notion linear"
)
_CARRIED = WordedPattern(
    r"(https?://[^\s\"'`<>{}$]{4,200}[?&][\w.-]{1,40}=)\$\{?\{?\s?(?:env[:.]|secrets\.|process\.env\.)?([A-Za-z][A-Za-z0-9_]{3,60})\}?"
)
_COMMENTS = re2.compile(r"(?m)(?:^[ \t]*(?:#|//|\*)[^\n]*\n?)+")
_TAKES_AWAY = linear_pattern(
    r"(?is)\b(?:reads?|collects?|gathers?|grabs?|copies|harvests?|packs?)\b.{0,240}\b(?:sends?|uploads?|posts?|ships?|forwards?|transmits?|exfiltrates?)\b.{0,80}\b(?:server|endpoint|webhook|host|remote|url|address|bucket|channel)\b"
)
_OTHERWISE = re2.compile(
    r"(?i)\b(?:never|not|without|don'?t|no longer|detect\w*|scan\w*|looks? for|rules?|patterns?|attack\w*|malicious|example|prevent\w*|block\w*|check\w*|flag\w*|if)\b"
)


def judge_carried_keys(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each address with the key of a service that is not the host's. Time is linear in the text."""
    for match in islice(place.matches(_CARRIED), MOST) if "$" in place.text else ():
        url, name = match[1], match[2]
        service = name.lower().partition("_")[0]
        host = next((host for _, _, _, host in vocabulary.urls_in(url)), "")
        if (
            "." in host
            and service in _SERVICES
            and service not in host
            and vocabulary.secret_variable(name)
            and vocabulary.classify_host(host) not in {HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER}
            and not declared.names_owner(host, title_only=True)
        ):
            context = place.command_context(match.start())
            yield place.at("SIGMA-THREAT-058", f"{name} -> {host}", match.start(), match.end(), context)


def judge_comments(place: TextPlaces) -> Iterator[Finding]:
    """A finding for each comment of a program that names several files of secrets and says that they are sent."""
    if place.is_code:
        for match in islice(_COMMENTS.finditer(place.text), MOST):
            comment = match.group()[:MAX_COMMENT]
            secrets = vocabulary.secret_files(comment)
            if len(secrets) >= SEVERAL_SECRETS and _TAKES_AWAY.search(comment) and not _OTHERWISE.search(comment):
                yield place.at("SIGMA-THREAT-059", ", ".join(sorted(secrets)), match.start(), match.end())
