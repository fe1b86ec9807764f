"""What a package brings in and what starts when it is installed: manifests of Python and Node, hooks, editor tasks, declared installers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.vocabulary import HostClass, name_set

_POPULAR = name_set(
    "requests numpy pandas flask django fastapi pydantic pytest setuptools urllib3 certifi boto3 botocore cryptography pyyaml jinja2 sqlalchemy openai anthropic langchain transformers torch tensorflow scikit-learn matplotlib "
    "pillow beautifulsoup4 selenium playwright httpx aiohttp click typer rich colorama websockets paramiko psycopg2 redis celery pymongo web3 python-dotenv lxml scrapy "
    "react react-dom lodash express axios chalk commander typescript webpack eslint prettier vite next dotenv puppeteer cheerio ethers discord.js telegraf jsonwebtoken mongoose nodemon"
)
_POPULAR_SHAPES: dict[str, frozenset[str]] = {}
for _name in sorted(_POPULAR):
    for _shape in {_name[:at] + _name[at + 1 :] for at in range(len(_name))} | {_name}:
        _POPULAR_SHAPES[_shape] = _POPULAR_SHAPES.get(_shape, frozenset()) | {_name}
_HONEST_NEIGHBOURS = name_set(
    "request preact jinja flasks next.js nest vitest click-log clicks rich-click torchx redis-py reactive axio chalks redux"
)
_HOOKS = ("preinstall", "install", "postinstall", "prepare", "prepublish", "preuninstall", "postuninstall")
_RISKY_HOOK = re2.compile(
    r"(?i)\b(?:curl|wget|bash|sh -c|node -e|python3? -c|eval|base64|powershell|iwr|https?://|nc )|^\s*node\s+[\w./-]+\.[cm]?js\s*$"
)
_REQUIREMENT = re2.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(===?|>=|<=|~=|!=|>|<|@)?\s*([^\s;#]*)")
_NPX = re2.compile(r"\b(?:npx|bunx|pnpm dlx|uvx)\s+(?:-y\s+|--yes\s+)?(@?[a-z0-9][\w./-]*)(@[\w.^~-]+)?(?:\s|$|`|\")")
_INSTALL = re2.compile(
    r"\b(?:pip3?\s+install|npm\s+(?:i|install|add)|uv\s+(?:pip\s+install|add)|yarn\s+add|pnpm\s+add)\s+([^\n`|;&]{1,200})"
)


def nearest_popular(name: str) -> str:
    """The well-known package that ``name`` is one edit (or one swap of neighbours) away from, or empty."""
    name = name.lower().replace("_", "-")
    if name in _POPULAR or name in _HONEST_NEIGHBOURS or len(name) < 5:
        return ""
    shapes = {name[:at] + name[at + 1 :] for at in range(len(name))} | {name}
    for shape in sorted(shapes):
        for popular in sorted(_POPULAR_SHAPES.get(shape, ())):
            if len(popular) >= 5 and _one_edit(name, popular):
                return popular
    return ""


def _one_edit(one: str, other: str) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    at = 0
    while at < min(len(one), len(other)) and one[at] == other[at]:
        at += 1
    if len(one) == len(other):
        swapped = one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :] == other[at:]
        return one[at + 1 :] == other[at + 1 :] or swapped
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return longer[at + 1 :] == shorter[at:]


def _at(reading: Reading, needle: str) -> tuple[Location, str]:
    position = max(reading.text.find(needle), 0)
    line = reading.text.count("\n", 0, position) + 1
    byte = len(reading.text[:position].encode("utf-8", "surrogatepass"))
    end = byte + len(needle.encode("utf-8", "surrogatepass"))
    return Location(reading.path, line, line, byte, end), reading.text.split("\n")[line - 1][:300]


def _find(reading: Reading, rule_id: str, subject: str, needle: str) -> Finding:
    location, line = _at(reading, needle)
    return Finding(rule_id, subject[:200], location, line, "use", False)


def supply_chain(reading: Reading, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Supply-chain findings of one file."""
    name = reading.path.rpartition("/")[2].lower()
    if name == "package.json":
        yield from _node(reading)
    elif name.startswith("requirements") and name.endswith((".txt", ".in")):
        yield from _requirements(reading)
    elif name in {"sitecustomize.py", "usercustomize.py"}:
        yield _find(reading, "SIGMA-SUPPLY-008", name, "")
    elif name == "tasks.json" and "folderOpen" in reading.text:
        yield _find(reading, "SIGMA-SUPPLY-011", "folderOpen", "folderOpen")
    elif name == "skill.md":
        yield from _installers(reading, manifest)
    if name.endswith((".md", ".sh", ".txt")):
        yield from _unpinned(reading)


def _node(reading: Reading) -> Iterator[Finding]:
    try:
        document = json.loads(reading.text)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    scripts = document.get("scripts")
    for hook in _HOOKS:
        command = scripts.get(hook) if isinstance(scripts, dict) else None
        if isinstance(command, str) and _RISKY_HOOK.search(command):
            yield _find(reading, "SIGMA-SUPPLY-001", f"{hook}: {command}", f'"{hook}"')
    for group in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        listed = document.get(group)
        for package, version in sorted(listed.items()) if isinstance(listed, dict) else ():
            popular = nearest_popular(package)
            if popular:
                yield _find(reading, "SIGMA-SUPPLY-003", f"{package} ~ {popular}", f'"{package}"')
            if isinstance(version, str) and version.startswith(("http", "git", "github:", "file:")):
                yield _find(reading, "SIGMA-SUPPLY-007", f"{package}: {version}", f'"{package}"')
            elif isinstance(version, str) and not version[:1].isdigit():
                yield _find(reading, "SIGMA-SUPPLY-002", f"{package} {version}", f'"{package}"')


def _requirements(reading: Reading) -> Iterator[Finding]:
    for line in reading.text.split("\n")[:2_000]:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith(("git+", "http://", "https://")) or " @ " in stripped:
            yield _find(reading, "SIGMA-SUPPLY-007", stripped, stripped)
            continue
        match = _REQUIREMENT.search(stripped)
        if match is None:
            continue
        popular = nearest_popular(match.group(1))
        if popular:
            yield _find(reading, "SIGMA-SUPPLY-003", f"{match.group(1)} ~ {popular}", stripped)
        if match.group(2) not in {"==", "==="}:
            yield _find(reading, "SIGMA-SUPPLY-002", stripped, stripped)


def _installers(reading: Reading, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    def walk(value: Any, depth: int = 0) -> Iterator[str]:
        if depth > 8:
            return
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for item in value.values():
                yield from walk(item, depth + 1)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from walk(item, depth + 1)

    for text in walk(manifest.get("metadata")):
        for _, _, url, host in vocabulary.urls_in(text):
            if vocabulary.classify_host(host) in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE, HostClass.DROP}:
                yield _find(reading, "SIGMA-SUPPLY-010", url, url)


def _unpinned(reading: Reading) -> Iterator[Finding]:
    for match in _NPX.finditer(reading.text):
        if not match.group(2):
            yield _find(reading, "SIGMA-SUPPLY-009", match.group(1), match.group().strip())
    for match in _INSTALL.finditer(reading.text):
        for word in match.group(1).split():
            plain = re2.split(r"[=<>@~\[]", word.strip("'\""))[0] if not word.startswith("-") else ""
            popular = nearest_popular(plain)
            if popular:
                yield _find(reading, "SIGMA-SUPPLY-003", f"{plain} ~ {popular}", match.group())
