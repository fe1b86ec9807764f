"""Installs from outside the registries with the check of what arrives turned off: who answers, and what they hand out, is then anybody's."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.install_commands import InstallCommand, install_commands
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set

NEAR = 600
"""Characters between a command and a switch that belong to one instruction."""
_SWITCH = re2.compile(
    r"(?i)--trusted-host\b|\bHOMEBREW_NO_VERIFY_ATTESTATIONS\s*=\s*1|\bPIP_TRUSTED_HOST\s*=|\bstrict-ssl[ =]+false|\bNODE_TLS_REJECT_UNAUTHORIZED\s*=\s*['\"]?0|--no-?gpg-?check\b|--allow-unauthenticated\b"
    r"|\bgpgcheck\s*=\s*0|\[trusted=yes\]|\bGO(?:NOSUMDB|NOSUMCHECK|INSECURE)\s*=|\bGOFLAGS\s*=\s*-insecure|(?:--|\bconfig set )ignore-scripts[= ]false|\bCARGO_HTTP_CHECK_REVOKE\s*=\s*false|--allow-insecure\b|--insecure-registry\b"
)
_LOOSE_FILE = re2.compile(
    r"(?im)^[ \t]*trusted-host\s*=|^[ \t]*--trusted-host\b|^[ \t]*strict-ssl\s*=\s*false|\bindex-strategy\s*=\s*[\"']unsafe-(?:best|first)-match|\bverify_ssl\s*=\s*false|^[ \t]*ignore-scripts\s*=\s*false"
)
_SOURCE_LINE = re2.compile(
    r"(?im)^[ \t]*(?:(?:extra-|default-)?index-url|index|url|registry|@[\w-]+:registry|find-links|--(?:extra-)?index-url)[ \t]*[=: ][ \t]*[\"']?(https?://[^\s\"']+)"
)
_SOURCE_FILES = name_set(
    "pip.conf pip.ini pyproject.toml uv.toml pipfile .npmrc npmrc .yarnrc bunfig.toml requirements.txt requirements.in"
)
_PRIVATE = (".internal", ".local", ".lan", ".corp", ".intranet", ".home", ".svc")


def judge_unverified_sources(place: TextPlaces) -> Iterator[Finding]:
    """A finding for each install command whose source is a stranger's host and beside which a check is turned off."""
    if place.path.lower().rpartition("/")[2] in _SOURCE_FILES:
        yield from _of_a_file(place)
    switches = [match.span() for match in _SWITCH.finditer(place.text)]
    if not switches:
        return
    for command in install_commands(place.text):
        near = [start for start, end in switches if command.start - NEAR <= start and end <= command.end + NEAR]
        sources = _strange_sources(command) if near else []
        if sources:
            context = place.command_context(command.start)
            yield place.at("SIGMA-SUPPLY-033", sources[0], command.start, command.end, context)


def _of_a_file(place: TextPlaces) -> Iterator[Finding]:
    """The settings of an installer: a stranger's index, and a switch anywhere in the same file."""
    if _LOOSE_FILE.search(place.text) is None:
        return
    for match in _SOURCE_LINE.finditer(place.text):
        for url in _strange([match[1]]):
            yield place.at("SIGMA-SUPPLY-033", url, match.start(), match.end())


def _strange_sources(command: InstallCommand) -> list[str]:
    return _strange([*(wanted.url for wanted in command.wanted), *(value for _, value in command.indexes)])


def _strange(texts: list[str]) -> list[str]:
    return [
        url
        for text in texts
        for _, _, url, host in vocabulary.urls_in(text.removeprefix("git+"))
        if not vocabulary.package_host(host)
        and vocabulary.classify_host(host) is HostClass.UNKNOWN
        and "." in host
        and not host.endswith(_PRIVATE)
    ]
