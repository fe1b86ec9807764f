"""Commands that fetch and install packages, wherever they are written: documents, scripts, container files, argument lists of programs.

A line scanner, not a shell: it reads ``pip install x`` alike in a code fence, in a string of an error message and in ``["pip", "install", "x"]``. What such a command
*does* beyond installing is the business of the analysers of code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import re2

from sigma_core.sandbox.vocabulary import name_set

MAX_COMMANDS = 400
"""Install commands read in one file; honest files have few."""
MAX_ARGUMENTS = 500
"""Characters of arguments read after the command's name."""


class Tool(StrEnum):
    """Families of installers: what they take names from."""

    PIP = "pip"
    NPM = "npm"
    GO = "go"
    CARGO = "cargo"
    GEM = "gem"
    BREW = "brew"
    EDITOR = "editor"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing that a command fetches: a registry's ``name`` with its ``version`` (empty where none is said), or a ``url`` (with a git ref or not)."""

    name: str
    version: str
    url: str
    start: int
    end: int


@dataclass
class InstallCommand:
    """One command. ``runs`` is true where it runs at once what it fetches (``npx``, ``uvx``); ``indexes`` are the registries that it names, ``trusted_hosts`` those whose certificate it does not check."""

    tool: Tool
    verb: str
    start: int
    end: int
    runs: bool = False
    wanted: list[Wanted] = field(default_factory=list)
    indexes: list[tuple[str, str]] = field(default_factory=list)
    trusted_hosts: list[str] = field(default_factory=list)


_GAP = r"(?:[ \t]+|['\"][ \t]*,[ \t\n]*['\"])"
_HEAD = re2.compile(
    rf"(?:^|[\s;&|`$(\"'=>\[:])((?:pip3?|pip3?\.\d+){_GAP}(?:install|download)|pipx{_GAP}(?:install|run)|uvx|uv{_GAP}(?:pip{_GAP}install|add|tool{_GAP}(?:install|run))|poetry{_GAP}add"
    rf"|npm{_GAP}(?:install|i|add|exec)|npx|bunx|bun{_GAP}(?:add|install|x)|pnpm{_GAP}(?:add|install|i|dlx)|yarn{_GAP}(?:global{_GAP})?(?:add|dlx)"
    rf"|go{_GAP}(?:install|get)|cargo{_GAP}install|gem{_GAP}install|brew{_GAP}(?:tap|install)|(?:code|code-insiders|codium|cursor|windsurf){_GAP}--install-extension)(?:[ \t]|['\"][ \t]*,)"
)
_ARGUMENTS = re2.compile(r"(?:\\\r?\n|[^\n`;&|)}])*")
_SEPARATE = re2.compile(r"(?:['\"][ \t]*,[ \t]*['\"]|[ \t\\\r\n,]+)")
_PYTHON = re2.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:\[[A-Za-z0-9._, -]*\])?(?:(?:===?|~=|>=|<=|!=|>|<|@)[ ]?([A-Za-z0-9.*+!_-]+))?$"
)
_NODE = re2.compile(r"^((?:@[a-z0-9~][\w.~-]{0,99}/)?[a-z0-9~][\w.~-]{0,99})(?:@([\w.^~<>=*+-]+))?$")
_PATH = re2.compile(r"^((?:[\w-]+\.)+[a-z]{2,}(?:/[\w.~-]+)+)(?:@([\w.-]+))?$")
_PLAIN = re2.compile(r"^([A-Za-z0-9][\w./-]{0,120})(?:@([\w.-]+))?$")
_ADDRESS = re2.compile(r"^(?:git\+)?(?:https?|ssh|git|ftp)://\S+$|^git@[\w.-]+:\S+$")
_NODE_HOSTED = re2.compile(r"^(?:(github|gitlab|bitbucket|gist):)?([\w-]+/[\w.-]+)(#[\w./-]+)?$")
_HOSTING = {"": "github.com", "github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org", "gist": "gist.github.com"}  # fmt: skip
_TAKES_VALUE = name_set(
    "-r --requirement -c --constraint -e --editable -t --target --prefix --root --proxy --cert --python --python-version --platform --cache-dir --log --src -w --workspace --cwd -C --dir --loglevel "
    "--version --vers --path --branch --tag --rev --features --profile --bin --root-dir --group --extra --timeout --retries --call --userconfig --cache"
)
_INDEX_OPTIONS = name_set(
    "-i --index-url --extra-index-url --index --default-index -f --find-links --registry --source -s --pypi-url"
)
_NAME_OPTIONS = name_set("--from --with --package --spec")
_VALUE_OPTIONS = _TAKES_VALUE | _INDEX_OPTIONS | _NAME_OPTIONS | {"--trusted-host", "--git"}
_PROSE = name_set(
    "to and or in for your the if with then first before from on into as is are via using when a an it this that"
)
_EDITORS = name_set("code code-insiders codium cursor windsurf")
_RUNS = name_set("npx uvx bunx exec dlx x run")


def install_commands(text: str) -> Iterator[InstallCommand]:
    """The install commands in ``text``, in order, at most `MAX_COMMANDS`; commands that name nothing are left out."""
    last_end = 0
    for at, match in enumerate(_HEAD.finditer(text)):
        if at >= MAX_COMMANDS:
            return
        if match.start(1) < last_end:
            continue  # a word of the command before
        words = _SEPARATE.split(match.group(1))
        first, last = words[0], words[-1]
        begin = match.end(1)
        arguments = _ARGUMENTS.match(text, begin, min(len(text), begin + MAX_ARGUMENTS)).group()
        command = InstallCommand(_tool(first), " ".join(words), match.start(1), begin, last in _RUNS)
        if first == "pipx" and last == "install":
            command.runs = False
        _read_arguments(command, arguments, begin)
        last_end = command.end
        if command.wanted or command.indexes or command.trusted_hosts:
            yield command


def _tool(first: str) -> Tool:
    if first.startswith("pip") or first in {"uv", "uvx", "poetry"}:
        return Tool.PIP
    if first in _EDITORS:
        return Tool.EDITOR
    return Tool(first) if first in {"go", "cargo", "gem", "brew"} else Tool.NPM


def _words(arguments: str, begin: int) -> Iterator[tuple[str, int, bool]]:
    """``(word, offset, last)``: words without their quotes; ``last`` where a quote that was opened before the command closes."""
    position = 0
    while position < len(arguments):
        gap = _SEPARATE.match(arguments, position)
        if gap is not None and gap.end() > position:
            position = gap.end()
            continue
        following = _SEPARATE.search(arguments, position)
        end = following.start() if following is not None else len(arguments)
        word = arguments[position:end]
        bare = word.strip("'\"") if "[" in word else word.strip("'\"]")
        closes = word.endswith(("'", '"')) and not word.startswith(("'", '"'))
        if bare:
            yield bare, begin + position + word.find(bare), closes
        position = max(end, position + 1)


def _read_arguments(command: InstallCommand, arguments: str, begin: int) -> None:
    waiting = ""
    for word, at, closes in _words(arguments, begin):
        if word.startswith(("#", ">", "<", "2>")) or word in {"--", "\\"}:
            return
        command.end = at + len(word)
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", "")
        if option:
            if equals:
                _option(command, option, value, at)
            takes_value = option in _VALUE_OPTIONS or (option == "-p" and command.runs)
            waiting = option if takes_value and not equals else ""
        elif waiting:
            _option(command, waiting, word, at)
            waiting = ""
        elif command.runs and command.wanted:
            return  # The package was named by an option; this word is a program of it.
        else:
            wanted = read_wanted(command.tool, word, at) if word not in _PROSE else None
            if wanted is None:
                # A word that is no package ends the list: prose goes on after the command.
                if not command.wanted or not word.startswith((".", "/", "$", "~")):
                    return
                continue
            command.wanted.append(wanted)
            if command.runs or (command.tool is Tool.BREW and command.verb.endswith("tap")):
                _tap_address(command, arguments, begin)
                return
        if closes or word.endswith((".", ":")):
            return


def _tap_address(command: InstallCommand, arguments: str, begin: int) -> None:
    """``brew tap owner/name ADDRESS``: the second word is where the tap comes from."""
    if command.tool is Tool.BREW:
        for word, at, _ in _words(arguments, begin):
            if _ADDRESS.match(word):
                command.wanted.append(Wanted("", "", word, at, at + len(word)))


def _option(command: InstallCommand, option: str, value: str, at: int) -> None:
    if option in _INDEX_OPTIONS:
        command.indexes.append((option, value))
    elif option == "--trusted-host":
        command.trusted_hosts.append(value)
    elif option == "--git":
        command.wanted.append(Wanted("", "", value, at, at + len(value)))
    elif option in _NAME_OPTIONS or option == "-p":
        wanted = read_wanted(command.tool, value, at)
        if wanted is not None:
            command.wanted.append(wanted)
    elif option in {"-e", "--editable"} and _ADDRESS.match(value):
        command.wanted.append(Wanted("", "", value, at, at + len(value)))


def read_wanted(tool: Tool, word: str, at: int = 0) -> Wanted | None:
    """What one argument of ``tool`` asks for, or None for anything that is not a package."""
    end = at + len(word)
    if _ADDRESS.match(word):
        return Wanted("", "", word, at, end)
    if tool is Tool.EDITOR:
        return None
    if tool is Tool.NPM:
        match = _NODE.match(word)
        if match is not None:
            return Wanted(match[1], match[2] or "", "", at, end)
        hosted = _NODE_HOSTED.match(word)
        if hosted is not None:
            return Wanted("", "", f"git+https://{_HOSTING[hosted[1] or '']}/{hosted[2]}{hosted[3] or ''}", at, end)
        return None
    pattern = {Tool.PIP: _PYTHON, Tool.GO: _PATH}.get(tool, _PLAIN)
    match = pattern.match(word)
    return None if match is None else Wanted(match[1], match[2] or "", "", at, end)
