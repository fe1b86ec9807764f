"""Sources of programs outside the registries: added by a command that alone names them, or with the check of what arrives turned off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.install_commands import InstallCommand, Tool
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

MOST = 200
"""Commands of one kind that are looked at in one file."""
NEAR = 600
"""Characters between a command and a switch that belong to one instruction."""
_SWITCH = re2.compile(
    r"(?i)--trusted-host\b|\bHOMEBREW_NO_VERIFY_ATTESTATIONS\s*=\s*1|\bPIP_TRUSTED_HOST\s*=|\bstrict-ssl[ =]+false|\bNODE_TLS_REJECT_UNAUTHORIZED\s*=\s*['\"]?0|--no-?gpg-?check\b|--no-gpg-verify\b|--allow-unauthenticated\b"
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


_ADDED = WordedPattern(
    r"(?i)\b(?:(?:npm|yarn|pnpm)\s+config\s+set\s+(?:-g\s+)?(?:@[\w-]+:)?(?:registry|npmRegistryServer)|pip3?\s+config\s+(?:--\w+\s+)?set\s+(?:global|user|site)\.(?:extra-)?index-url|composer\s+config\s+(?:-g\s+|--global\s+)?repositories\.\S+\s+\w+"
    r"|scoop\s+bucket\s+add\s+\S+|choco\s+(?:install\s[^\n`]{1,80}|source\s+add\s[^\n`]{0,80})(?:--source|-s)|winget\s+(?:install\s[^\n`]{0,40}--manifest|source\s+add\s[^\n`]{1,60})|gem\s+sources\s+(?:-a|--add)|conda\s+config\s+--add\s+channels"
    r"|(?:openclaw|clawdbot|claude|gemini|codex|cursor|agy)\s+(?:plugins?|extensions?|skills?)\s+(?:marketplace\s+)?(?:install|add)|(?:npx|bunx)\s+(?:-y\s+)?(?:skills|clawhub|clawdhub)(?:@\w+)?\s+(?:add|install)|clawhub\s+install|(?:uv|cargo)\s[^\n`]{1,80}--index"
    r"|Register-PSRepository\s[^\n`]{1,80}-SourceLocation|Install-Module\s[^\n`]{1,80}-Repository)[=\s]+[\"']?(?:git\+)?(https?://[^\s\"'`]{4,300})"
)
"""A command that makes a place a source of packages, skills or plugins; group 1 is its address."""
_CLONED = WordedPattern(
    r"(?s)\bgit\s+clone\s+(?:-\S+\s+){0,4}[\"']?(https?://[^\s\"'`]{4,300}).{0,200}?(?:\./\w|\b(?:bash|sh|python3?|node|make|pip3? install|npm (?:i|ci|install|run)|uv (?:sync|run)|docker compose up)\b)"
)
"""A repository that is cloned, and built or run right after; group 1 is its address."""
_REPOSITORY = WordedPattern(
    r"(?i)(?:\bdeb\s+\[[^\]\n]{1,120}\]\s+|--add-repo[ =]|\bzypper\s+(?:addrepo|ar)\s[^\n`]{0,60}|\bflatpak\s+remote-add\s[^\n`]{1,80}\s|\bbaseurl\s*=\s*)[\"']?(https?://[^\s\"'`]{4,300})"
)
"""A repository of the system's own package manager, as vendors have them added; group 1 is its address."""


def judge_added_sources(place: TextPlaces, named_only_at: Callable[[str, Location], bool]) -> Iterator[Finding]:
    """A finding for each stranger's address that a command makes a source or clones to run it, and that nothing else in the package speaks of."""
    found = (islice(place.matches(search), MOST) for search in (_ADDED, _CLONED))
    for match in chain.from_iterable(found):
        for url in _strange([match[1]]):
            context = place.command_context(match.start())
            finding = place.at("SIGMA-SUPPLY-032", url, match.start(), match.end(), context)
            if named_only_at(url, finding.location):
                yield finding


def judge_unverified_sources(place: TextPlaces) -> Iterator[Finding]:
    """A finding for each install command whose source is a stranger's host and beside which a check is turned off."""
    if place.path.lower().rpartition("/")[2] in _SOURCE_FILES:
        yield from _of_a_file(place)
    switches = [match.span() for match in _SWITCH.finditer(place.text)]
    if not switches:
        return
    installs = [(command.start, command.end, _strange_sources(command)) for command in place.install_commands]
    added = [(*match.span(), _strange([match[1]])) for match in place.matches(_REPOSITORY)]
    for start, end, sources in [*installs, *added]:
        if sources and any(start - NEAR <= first and last <= end + NEAR for first, last in switches):
            yield place.at("SIGMA-SUPPLY-033", sources[0], start, end, place.command_context(start))


def _of_a_file(place: TextPlaces) -> Iterator[Finding]:
    """The settings of an installer: a stranger's index, and a switch anywhere in the same file."""
    if _LOOSE_FILE.search(place.text) is None:
        return
    for match in _SOURCE_LINE.finditer(place.text):
        for url in _strange([match[1]]):
            yield place.at("SIGMA-SUPPLY-033", url, match.start(), match.end())


def _strange_sources(command: InstallCommand) -> list[str]:
    hosted = [f"https://{wanted.name}" for wanted in command.wanted if command.tool is Tool.GO and not wanted.url]
    return _strange([*(wanted.url for wanted in command.wanted), *hosted, *(value for _, value in command.indexes)])


def _strange(texts: list[str]) -> list[str]:
    return [
        url
        for text in texts
        for _, _, url, host in vocabulary.urls_in(text.removeprefix("git+"))
        if not vocabulary.package_host(host)
        and vocabulary.classify_host(host) is HostClass.UNKNOWN
        and "." in host
        and not vocabulary.private_name(host)
    ]
