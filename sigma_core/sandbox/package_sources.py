"""What a package has installers fetch, judged by name and place: manifests by the intake's own rules, install commands wherever they stand."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import configuration_listings
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.install_commands import InstallCommand, Tool, Wanted, install_commands
from sigma_core.sandbox.popular_names import Registry, Slip, imitation_of, is_listed, is_popular
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.started_commands import read_json
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass
from sigma_core.submissions.dependencies import dependency_problems
from sigma_core.submissions.dependency_problem import DependencyProblem
from sigma_core.submissions.package import Package

MAX_NAMES = 1_000
"""Names of one manifest that are compared with the popular ones."""
MAX_TOML = 100_000
"""Characters of a pyproject.toml that is read for names."""
BLOCKING_LENGTH = 6
"""Shorter names are one letter apart by chance, and never block."""

_HOSTILE = frozenset({HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE, HostClass.DROP})
_PINNED = re2.compile(r"(?:@|#|rev=|commit=)[0-9a-f]{40}\b")
_PROBLEM_RULES = {
    "DEPENDENCY_UNPINNED": "SIGMA-SUPPLY-002",
    "DEPENDENCY_VCS": "SIGMA-SUPPLY-007",
    "DEPENDENCY_URL": "SIGMA-SUPPLY-007",
    "DEPENDENCY_LOCAL_PATH": "SIGMA-SUPPLY-025",
    "DEPENDENCY_PRIVATE_INDEX": "SIGMA-SUPPLY-015",
    "DEPENDENCY_UNRESOLVABLE": "SIGMA-SUPPLY-024",
    "DEPENDENCY_MALFORMED": "SIGMA-SUPPLY-024",
    "DEPENDENCY_FILE_UNREADABLE": "SIGMA-SUPPLY-024",
}
_REQUIREMENT_NAME = re2.compile(r"(?m)^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,99})[ \t]*(?:$|[\[=<>~!@;# ])")
_VERSIONED = re2.compile(
    r"^[ \t]*[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:\[[\w, -]{1,100}\])?[ \t]{0,4}(?:===?|~=|>=|<=|!=)[ \t]{0,4}\d"
)
_GENERATED_SCOPE = re2.compile(r"^@[a-z]{5,40}[0-9]{3,8}/([\w.-]{3,80})$")
_TEXT_NAME = re2.compile(r"^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,99})")
_NODE_GROUPS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_REGISTRIES = {Tool.PIP: Registry.PYPI, Tool.NPM: Registry.NPM}


def judge_dependencies(package: Package, places: dict[str, TextPlaces]) -> Iterator[Finding]:
    """Findings of the package's dependency files: rules of intake that they break, where they fetch from, and names that imitate others."""
    for problem in dependency_problems(package):
        if problem.file in places:
            yield from _judge_problem(problem, places[problem.file])
    for path in sorted(places):
        place = places[path]
        registry, names = named_dependencies(path, place.text)
        for name, needle in list(names.items())[:MAX_NAMES]:
            finding = judge_name(registry, name)
            if finding is not None:
                yield place.of(finding[0], finding[1], needle)


def judge_listed_dependencies(place: TextPlaces) -> Iterator[Finding]:
    """Findings of the names in the package.json, pyproject.toml or requirements that a document shows, whole or in part."""
    if place.path.lower().rpartition("/")[2] != "package.json" and any(
        f'"{group}"' in place.text for group in _NODE_GROUPS
    ):
        for listing in configuration_listings(place):
            yield from _judge_listing(place, "package.json", listing.text, listing.start, listing.context)
    for fence in place.fences if place.is_document else ():
        if _is_requirements(fence.text):
            path = "requirements.txt"
        elif "dependencies" in fence.text and "[" in fence.text:
            path = "pyproject.toml"
        else:
            continue
        yield from _judge_listing(place, path, fence.text, fence.start, "mention" if fence.cautionary else "use")


def _judge_listing(place: TextPlaces, path: str, text: str, offset: int, context: str) -> Iterator[Finding]:
    registry, names = named_dependencies(path, text)
    for name, needle in list(names.items())[:MAX_NAMES]:
        finding = judge_name(registry, name)
        if finding is not None:
            start = offset + max(text.find(needle), 0)
            yield place.at(*finding, start, start + len(needle), context)


def _is_requirements(text: str) -> bool:
    """Whether every line is a requirement, an option or a comment, and one at least has a version."""
    lines = [line for line in text[:MAX_TOML].split("\n") if line.strip() and not line.lstrip().startswith(("#", "-"))]
    return any(_VERSIONED.search(line) for line in lines) and all(_REQUIREMENT_NAME.match(line) for line in lines)


def _judge_problem(problem: DependencyProblem, place: TextPlaces) -> Iterator[Finding]:
    rule = _PROBLEM_RULES[problem.code]
    urls = vocabulary.urls_in(problem.text)
    if urls and rule in {"SIGMA-SUPPLY-007", "SIGMA-SUPPLY-015"}:
        if rule == "SIGMA-SUPPLY-015":
            rule = _index_rule(urls[0][2], extra="extra" in problem.text)
        elif _PINNED.search(problem.text):
            rule = "SIGMA-SUPPLY-025"
        rule = "SIGMA-SUPPLY-014" if any(_hostile(host) for _, _, _, host in urls) else rule
        if any(_unencrypted(url, host) for _, _, url, host in urls):
            yield place.on_line("SIGMA-SUPPLY-016", problem.text, problem.line)
    elif "trusted-host" in problem.text or "strict-ssl" in problem.text:
        rule = "SIGMA-SUPPLY-016"
    if rule:
        yield place.on_line(rule, problem.text, problem.line)


def named_dependencies(path: str, text: str) -> tuple[Registry, dict[str, str]]:
    """The registry and the direct dependencies that a manifest at ``path`` names, each with the text to find it by; empty for other files."""
    name = path.rpartition("/")[2].lower()
    if name == "package.json":
        document = read_json(text)
        groups = [document.get(group) for group in _NODE_GROUPS] if isinstance(document, dict) else []
        return Registry.NPM, {
            key: f'"{key}"'
            for group in groups
            if isinstance(group, dict)
            for key, version in group.items()
            if not (
                isinstance(version, str) and version.startswith("npm:")
            )  # the author's own name for another package
        }
    if "requirements" in name and name.endswith((".txt", ".in")):
        return Registry.PYPI, {match[1]: match[1] for match in _REQUIREMENT_NAME.finditer(text)}
    if name == "pyproject.toml" and len(text) < MAX_TOML:
        return Registry.PYPI, {
            match[1]: match[1] for text in _toml_requirements(text) if (match := _TEXT_NAME.match(text))
        }
    return Registry.PYPI, {}


def _toml_requirements(text: str) -> Iterator[str]:
    """Requirements of a pyproject.toml (PEP 621, build system, Poetry). Intake reports a file that cannot be read."""
    if _LONG_KEY.search(text):
        return
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    project, build = _table(document, "project"), _table(document, "build-system")
    lists = [project.get("dependencies"), build.get("requires"), *_table(project, "optional-dependencies").values()]
    for requirements in lists:
        yield from (item for item in requirements if isinstance(item, str)) if isinstance(requirements, list) else ()
    yield from (name for name in _table(document, "tool", "poetry", "dependencies") if name.lower() != "python")


# tomllib takes quadratic time over dotted keys of many parts.
_LONG_KEY = re2.compile(r"(?:[A-Za-z0-9_\"'-]+[ \t]*\.[ \t]*){17}")


def _table(document: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def judge_name(registry: Registry, name: str) -> tuple[str, str] | None:
    """``(rule, subject)`` where ``name`` imitates a well-known package, or None."""
    scoped = _GENERATED_SCOPE.match(name) if registry is Registry.NPM else None
    if scoped is not None and is_popular(registry, scoped[1]) and not is_listed(registry, name):
        return "SIGMA-SUPPLY-046", f"{name} ~ {scoped[1]}"
    imitated = imitation_of(registry, name)
    if imitated is None:
        return None
    subject = f"{name} ~ {imitated.popular} ({imitated.slip.value})"
    if imitated.slip in {Slip.TWO_EDITS, Slip.ORDER, Slip.LURE}:
        return "SIGMA-SUPPLY-013", subject
    blocking = (
        imitated.very_popular
        and min(len(name), len(imitated.popular)) >= BLOCKING_LENGTH
        and imitated.slip is Slip.ONE_EDIT
    )
    return "SIGMA-SUPPLY-012" if blocking else "SIGMA-SUPPLY-003", subject


def judge_commands(place: TextPlaces, named_only_at: Callable[[str, Location], bool]) -> Iterator[Finding]:
    """Findings of the install commands in one file. ``named_only_at(url, location)`` says whether nothing else in the package speaks of the host."""
    for command in place.install_commands:
        context = place.command_context(command.start)
        yield from judge_command(place, command, context)
        for url in _strange_sources(command):
            finding = place.at("SIGMA-SUPPLY-032", url, command.start, command.end, context)
            if named_only_at(url, finding.location):
                yield finding


def _strange_sources(command: InstallCommand) -> Iterator[str]:
    """Addresses of archives and indexes that ``command`` installs from and that are neither a registry's nor a code host's."""
    for text in [*(wanted.url for wanted in command.wanted), *(value for _, value in command.indexes)]:
        for _, _, url, host in vocabulary.urls_in(text.removeprefix("git+")):
            if not vocabulary.package_host(host) and vocabulary.classify_host(host) is HostClass.UNKNOWN:
                yield url


def judge_command(
    place: TextPlaces, command: InstallCommand, context: str, offset: int | None = None
) -> Iterator[Finding]:
    """Findings of one install command; all stand at ``offset`` where it is given (a command put together from parts)."""

    def at(rule: str, subject: str, start: int, end: int) -> Finding:
        return (
            place.at(rule, subject, start, end, context)
            if offset is None
            else place.at(rule, subject, offset, offset, context)
        )

    for wanted in command.wanted:
        for rule, subject in _judge_wanted(command, wanted):
            yield at(rule, subject, wanted.start, wanted.end)
    for option, value in command.indexes:
        for _, _, url, host in vocabulary.urls_in(value):
            index_rule = "SIGMA-SUPPLY-014" if _hostile(host) else _index_rule(url, extra="extra" in option)
            if index_rule:
                yield at(index_rule, f"{option} {url}", command.start, command.end)
            if _unencrypted(url, host):
                yield at("SIGMA-SUPPLY-016", f"{option} {url}", command.start, command.end)
    for host in command.trusted_hosts:
        if not vocabulary.package_host(host) and vocabulary.classify_host(host) is not HostClass.LOCAL:
            yield at("SIGMA-SUPPLY-016", f"--trusted-host {host}", command.start, command.end)


def _judge_wanted(command: InstallCommand, wanted: Wanted) -> Iterator[tuple[str, str]]:
    if wanted.url:
        urls = vocabulary.urls_in(wanted.url.removeprefix("git+")) or [(0, 0, wanted.url, "")]
        if any(_hostile(host) for _, _, _, host in urls):
            yield "SIGMA-SUPPLY-014", wanted.url
        elif not _PINNED.search(wanted.url):
            yield "SIGMA-SUPPLY-007", wanted.url
        if any(_unencrypted(url, host) for _, _, url, host in urls):
            yield "SIGMA-SUPPLY-016", wanted.url
        return
    registry = _REGISTRIES.get(command.tool)
    judged = judge_name(registry, wanted.name) if registry is not None else None
    if judged is not None:
        yield judged
    unpinned = not wanted.version or wanted.version in {"latest", "*", "next", "main", "master"}
    if unpinned and command.runs:
        yield "SIGMA-SUPPLY-009", wanted.name
    elif unpinned and command.tool is not Tool.BREW:
        yield "SIGMA-SUPPLY-002", wanted.name


def _index_rule(url: str, *, extra: bool) -> str:
    hosts = [host for _, _, _, host in vocabulary.urls_in(url)]
    if all(vocabulary.package_host(host) for host in hosts) and hosts:
        return ""
    return "SIGMA-SUPPLY-023" if extra else "SIGMA-SUPPLY-015"


def _hostile(host: str) -> bool:
    return vocabulary.classify_host(host) in _HOSTILE


def _unencrypted(url: str, host: str) -> bool:
    return (
        url.startswith(("http://", "git+http://", "git://")) and vocabulary.classify_host(host) is not HostClass.LOCAL
    )


def judge_server_command(place: TextPlaces, words: Iterable[str], offset: int) -> Iterator[Finding]:
    """Findings of a server's argument list, where it is an install command (``npx -y name``)."""
    line = " ".join(words)
    for command in install_commands(line[:1_000]):
        yield from judge_command(place, command, "use", offset)
