"""What parts of a package take that its own words leave out: tools of an inner skill, keys of services that nothing speaks of, a script that must come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.observations import Ability, Capability
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.yaml_texts import yaml_documents

MOST = 100
"""Orders of one document that are looked at."""
_FRONT_MATTER = re2.compile(r"(?s)\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*\r?(?:\n|\z)")
_SHELL = re2.compile(r"(?i)(?:^|[\s,])(?:bash|shell|execute|run_command)(?:$|[\s,]|\(\*|\(:\*)")
_WORDS_OF_SERVICES: Mapping[str, str] = {
    "aws": r"aws|amazon[a-z]*|boto3?|s3|ec2|lambda|bedrock|dynamodb|cloudformation|terraform|iam|sts",
    "github": r"github[a-z]*|gh|octokit|pygithub|git",
    "gitlab": r"gitlab[a-z]*|git",
    "openai": r"openai[a-z]*|gpt[a-z]*|chatgpt|llm[a-z]*|whisper|dall-?e|model[a-z]*|litellm|embeddings?",
    "anthropic": r"anthropic[a-z]*|claude[a-z]*|llm[a-z]*|model[a-z]*|litellm",
    "stripe": r"stripe[a-z]*|payments?|billing",
    "binance": r"binance[a-z]*|ccxt|exchange[a-z]*|trad[a-z]+",
    "coinbase": r"coinbase[a-z]*|ccxt|exchange[a-z]*|trad[a-z]+",
    "npm": r"npm[a-z]*|node|package[a-z]*|publish[a-z]*|registry",
    "pypi": r"pypi[a-z]*|twine|package[a-z]*|publish[a-z]*|registry",
    "cloudflare": r"cloudflare[a-z]*|workers?|wrangler|dns|r2",
    "digitalocean": r"digitalocean[a-z]*|droplets?|doctl",
    "slack": r"slack[a-z]*|webhooks?|notif[a-z]+|chat[a-z]*",
    "telegram": r"telegram[a-z]*|bots?|notif[a-z]+|chat[a-z]*",
    "discord": r"discord[a-z]*|bots?|webhooks?|notif[a-z]+|chat[a-z]*",
}
"""The words that speak of a service whose keys are worth taking."""
_FIRST = re2.compile(
    r"(?i)\b(?:very first (?:action|step|thing|command)|first action (?:must|is)|before (?:producing|giving|writing|composing|answering|responding|any (?:answer|lookup|response|other))|must (?:always )?be (?:run|executed) (?:first|before))\b"
)
_SCRIPT = re2.compile(
    r"\b(?:python3?|node|bash|sh|ruby|perl)\s+([\w./-]{0,80}[./]?[\w-]{1,60}\.(?:py|js|mjs|sh|rb|pl))\b"
)
_NEAR = 240
"""Characters between the words of an order and the script that it names."""


def judge_inner_skills(manifest: Mapping[str, Any], places: Mapping[str, TextPlaces]) -> Iterator[Finding]:
    """A finding for each skill within the package that has a shell while the package's SKILL.md, which sends the agent there, declares tools without one."""
    tools = [tool for tool in manifest.get("allowedTools") or () if isinstance(tool, str)]
    outer = next((places[path] for path in sorted(places) if path.lower() == "skill.md"), None)
    if outer is None or not tools or any(_SHELL.search(tool) or tool == "*" for tool in tools):
        return
    for path in sorted(places):
        folder = path.rpartition("/")[0].rpartition("/")[2]
        if not path.lower().endswith("/skill.md") or folder not in outer.text:
            continue
        front = _FRONT_MATTER.match(places[path].text)
        shell = next((tool for tool in _tools(front[1]) if _SHELL.search(tool)), "") if front is not None else ""
        if shell:
            yield places[path].of("SIGMA-MIS-015", f"{folder}: {shell}", shell)


def _tools(front_matter: str) -> Iterator[str]:
    """The tools that a front matter allows, in a list or in one text."""
    for root in yaml_documents(front_matter):
        for key, node in root.parts:
            if key in {"allowed-tools", "allowed_tools", "tools"}:
                yield from [node.text] if node.text is not None else [part.text or "" for _, part in node.parts]


def judge_unrelated_keys(readings: Mapping[str, Reading], places: Mapping[str, TextPlaces]) -> Iterator[Finding]:
    """A finding for each variable with a service's key that code reads in a package which says and names nothing of that service."""
    wanted: dict[str, list[tuple[str, str, int, int]]] = {}
    for path in sorted(readings):
        for seen in readings[path].seen:
            what = seen.what
            if (
                isinstance(what, Capability)
                and what.ability is Ability.ENVIRONMENT
                and seen.context == "use"
                and not seen.in_prose
                and not seen.location.layer
                and vocabulary.secret_variable(what.subject)
                and (service := what.subject.lower().partition("_")[0]) in _WORDS_OF_SERVICES
            ):
                at = seen.location
                wanted.setdefault(service, []).append((path, what.subject, at.line_start, at.line_end))
    for service in sorted(wanted):
        words = re2.compile(rf"(?i)\b(?:{_WORDS_OF_SERVICES[service]})\b")
        if any(words.search(places[path].text) for path in sorted(places)):
            continue
        for path, name, line, _ in sorted(set(wanted[service])):
            yield places[path].on_line("SIGMA-MIS-014", name, line)


def judge_first_scripts(declared: DeclaredSurface, place: TextPlaces, paths: frozenset[str]) -> Iterator[Finding]:
    """A finding for each script with a name that hides it, which is to be run before all else and of which no other line of the documents speaks."""
    for match in islice(_FIRST.finditer(place.text), MOST) if place.is_document else ():
        start = max(0, match.start() - _NEAR)
        for script in _SCRIPT.finditer(place.text[start : match.end() + _NEAR]):
            path = script[1].removeprefix("./")
            name = path.rpartition("/")[2]
            hidden = name.startswith(("_", ".")) and path in paths
            if hidden and declared.text.count(name.lower()) == 1:
                at = start + script.start(1)
                yield place.at("SIGMA-MIS-016", path, at, at + len(script[1]), place.command_context(match.start()))
