"""Commands that start without anybody typing them: install hooks, editor tasks, container hooks, agents' hooks and servers, git hooks, skill loading, builds, workflows.

Each is found in the file of its own format and handed on as text, so that the shell analyser reads it like any other code.
"""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Any

import re2

from sigma_core.sandbox.kinds import is_git_hook
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.yaml_texts import texts_under

MAX_COMMANDS = 100
"""Commands taken from one file."""
MAX_CONFIGURATION = 262_144
"""Characters of a configuration file that is parsed; larger ones are left to the rules on text."""
MAX_WORDS = 60
"""Words taken of one server's command line."""
MAX_COMMENTED = 65_536
"""Characters of a file that is read although it is no plain JSON."""
_MAX_DEPTH = 24


class Trigger(StrEnum):
    """What starts the command; the value is the step in a layer's path."""

    INSTALL = "install-hook"
    EDITOR = "editor-task"
    CONTAINER = "container-hook"
    AGENT = "agent-hook"
    SERVER = "mcp-server"
    ENTERING = "directory-hook"
    GIT = "git-hook"
    LOADING = "skill-loading"
    BUILD = "build-step"
    WORKFLOW = "workflow-step"

    @property
    def unasked(self) -> bool:
        """Whether it starts on the person's machine without being asked for by name."""
        return self not in {Trigger.BUILD, Trigger.WORKFLOW}


@dataclass(frozen=True, slots=True)
class StartedCommand:
    """``text`` is the command as a shell would get it; ``start:end`` is where it stands in the file's text."""

    trigger: Trigger
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Server:
    """One server of an MCP configuration: its command line (argument list) or its address, the values of its headers, and the names of the variables that it gets."""

    name: str
    command: tuple[str, ...]
    url: str
    headers: tuple[str, ...]
    variables: tuple[str, ...]
    start: int
    end: int


def started_commands(path: str, text: str) -> list[StartedCommand]:
    """The commands that the file at ``path`` has started; empty for files that start none."""
    read = _reader(path)
    if read is None or len(text) > MAX_CONFIGURATION:
        return []
    found: list[StartedCommand] = []
    for command in read(text):
        if command.text.strip():
            found.append(command)
        if len(found) == MAX_COMMANDS:
            break
    return found


_LIFECYCLE = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish", "predependencies", "dependencies", "postdependencies")  # fmt: skip
_CONTAINER = ("initializeCommand", "onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand", "postAttachCommand")  # fmt: skip
_HELPERS = ("apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper", "statusLine", "fileSuggestion")  # fmt: skip
_AGENT_FOLDERS = (".claude/", ".cursor/", ".codex/", ".gemini/", ".windsurf/", ".github/hooks/", "hooks/")


def _reader(path: str) -> Callable[[str], Iterator[StartedCommand]] | None:
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    if name == "package.json":
        return _package_json
    if name == "binding.gyp":
        return _gyp
    if name == "tasks.json":
        return _editor_tasks
    if name in {"devcontainer.json", ".devcontainer.json"}:
        return _container
    if name == ".envrc":
        return lambda text: _whole_file(Trigger.ENTERING, text)
    if name.endswith((".service", ".desktop")):
        return _unit
    if name.endswith(".plist"):
        return _property_list
    if name in {"crontab", "cron.txt"} or name.endswith((".cron", ".crontab")) or "/cron.d/" in f"/{lowered}":
        return _timetable
    if is_git_hook(path):
        return lambda text: _whole_file(Trigger.GIT, text)
    if name in {"settings.json", "settings.local.json", "hooks.json", "plugin.json"} and (
        name in {"hooks.json", "plugin.json"} or any(folder in lowered for folder in _AGENT_FOLDERS)
    ):
        return _agent_settings
    if is_server_configuration(path):
        return _server_commands
    if name in {"dockerfile", "containerfile"} or name.startswith("dockerfile."):
        return _container_file
    if "/.github/workflows/" in f"/{lowered}" and name.endswith((".yml", ".yaml")):
        return _workflow
    if name == "skill.md" or (
        name.endswith(".md") and any(f"/{folder}/" in f"/{lowered}" for folder in ("commands", "agents"))
    ):
        return _skill
    return None


def shown_commands(text: str) -> Iterator[StartedCommand]:
    """The commands that a JSON listing would have started, once it is copied into a file of its kind: hooks, install scripts, editor tasks, containers, servers."""
    if isinstance(read_json(text), dict):
        readers = (_agent_settings, _package_json, _editor_tasks, _container)
        yield from islice((command for read in readers for command in read(text)), MAX_COMMANDS)


def _whole_file(trigger: Trigger, text: str) -> Iterator[StartedCommand]:
    yield StartedCommand(trigger, text, 0, len(text))


_STARTS = re2.compile(
    r"(?m)^[ \t]*(?:Exec(?:Start|StartPre|StartPost|Reload|Stop|StopPost)?)[ \t]*=[ \t]*[-@:+!]{0,3}([^\n]+)"
)


def _unit(text: str) -> Iterator[StartedCommand]:
    """A systemd unit (systemd.service(5)) or a desktop entry: what it executes."""
    for match in _STARTS.finditer(text):
        yield StartedCommand(Trigger.ENTERING, match.group(1), *match.span(1))


_ARGUMENTS = re2.compile(
    r"(?s)<key>\s*(?:ProgramArguments|Program)\s*</key>\s*((?:<array>)?(?:\s*<string>[^<]*</string>)+)"
)
_STRING = re2.compile(r"<string>([^<]*)</string>")


def _property_list(text: str) -> Iterator[StartedCommand]:
    """A property list of launchd (launchd.plist(5)): what it executes."""
    for match in _ARGUMENTS.finditer(text):
        words = [html.unescape(word[1]) for word in _STRING.finditer(match[1])]
        script = words[2] if len(words) == 3 and words[1] in {"-c", "-lc"} else ""
        yield StartedCommand(Trigger.ENTERING, script or shlex.join(words), *match.span(1))


_TIMED = linear_pattern(
    r"(?m)^[ \t]*(?:@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|[\d*][\d*/,-]{0,20}(?:[ \t]+[\w*][\w*/,-]{0,20}){4})[ \t]+(\S[^\n]{4,900})"
)


def _timetable(text: str) -> Iterator[StartedCommand]:
    """A crontab (crontab(5)): what its lines run."""
    for match in _TIMED.finditer(text):
        yield StartedCommand(Trigger.ENTERING, match[1], *match.span(1))


def shown_units(text: str) -> Iterator[StartedCommand]:
    """The commands of the systemd units, launchd property lists and crontabs in a listing of a document."""
    for mark, read in (("Exec", _unit), ("<key>", _property_list), ("", _timetable)):
        if mark in text:
            yield from islice(read(text), MAX_COMMANDS)


def is_server_configuration(path: str) -> bool:
    """Whether a file is named like an MCP configuration."""
    name = path.lower().rpartition("/")[2]
    return name.endswith(".json") and (
        "mcp" in name or name in {"claude_desktop_config.json", ".claude.json", "cline_settings.json"}
    )


# -- JSON ---------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def read_json(text: str) -> Any:
    """JSON, also with comments and trailing commas (as editors allow); None where it is neither. Not to be changed: several readers share it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(_without_comments(text)) if len(text) <= MAX_COMMENTED else None
    except (ValueError, RecursionError):
        return None


_COMMENT = re2.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/')
_TRAILING = re2.compile(r'("(?:[^"\\\n]|\\.)*")|,(\s*[\]}])')


def _without_comments(text: str) -> str:
    """``text`` without comments, then without commas before a closing bracket; strings stay as they are."""
    return str(_TRAILING.sub(r"\1\2", _COMMENT.sub(r"\1 ", text)))


class _Finder:
    """Where JSON strings stand in their file; each search begins behind the last find."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def command(self, trigger: Trigger, command: str, needle: str = "") -> StartedCommand:
        for form in (needle, json.dumps(command)[1:-1], json.dumps(command, ensure_ascii=False)[1:-1]):
            at = self.text.find(form[:400], self.position) if form else -1
            if at >= 0:
                self.position = at
                return StartedCommand(trigger, command, at, at + min(len(form), 400))
        return StartedCommand(trigger, command, self.position, self.position)


def _package_json(text: str) -> Iterator[StartedCommand]:
    document = read_json(text)
    scripts = document.get("scripts") if isinstance(document, dict) else None
    for hook, command in scripts.items() if isinstance(scripts, dict) else ():
        if hook in _LIFECYCLE and isinstance(command, str):
            # A finder each: the order of keys is the author's.
            yield _Finder(text).command(Trigger.INSTALL, command)


_GYP_COMMAND = re2.compile(r"<!@?\(([^()\n]+(?:\([^()\n]*\)[^()\n]*)?)\)")


def _gyp(text: str) -> Iterator[StartedCommand]:
    for match in _GYP_COMMAND.finditer(text):
        yield StartedCommand(Trigger.INSTALL, match[1], match.start(1), match.end(1))


def _editor_tasks(text: str) -> Iterator[StartedCommand]:
    document = read_json(text)
    tasks = document.get("tasks") if isinstance(document, dict) else None
    finder = _Finder(text)
    for task in tasks if isinstance(tasks, list) else ():
        options = task.get("runOptions") if isinstance(task, dict) else None
        if isinstance(options, dict) and options.get("runOn") == "folderOpen":
            command = _line(task.get("command"), task.get("args"))
            yield finder.command(Trigger.EDITOR, command, str(task.get("command", "")))


def _line(command: Any, arguments: Any = None) -> str:
    """A shell line from a command and its arguments; the command may be a whole line itself."""
    if isinstance(command, list):
        return shlex.join(str(word) for word in command if isinstance(word, str))
    words = [str(word) for word in arguments if isinstance(word, str)] if isinstance(arguments, list) else []
    return " ".join([command, shlex.join(words)]).strip() if isinstance(command, str) else ""


def _container(text: str) -> Iterator[StartedCommand]:
    document = read_json(text)
    for key in _CONTAINER if isinstance(document, dict) else ():
        value = document.get(key)
        for command in value.values() if isinstance(value, dict) else [value]:
            if command:
                yield _Finder(text).command(
                    Trigger.CONTAINER, _line(command), command if isinstance(command, str) else ""
                )


_LOOSE_COMMAND = re2.compile(r'"command"\s*:\s*"((?:[^"\\\n]|\\.)+)')


def _agent_settings(text: str) -> Iterator[StartedCommand]:
    document = read_json(text)
    if not isinstance(document, dict):
        for match in _LOOSE_COMMAND.finditer(text):
            yield StartedCommand(Trigger.AGENT, match[1].replace('\\"', '"'), match.start(1), match.end(1))
        return
    finder = _Finder(text)
    for command in _hook_commands(document.get("hooks"), 0):
        yield finder.command(Trigger.AGENT, command)
    for key in _HELPERS:
        value = document.get(key)
        helper = value.get("command") if isinstance(value, dict) else value
        if isinstance(helper, str):
            yield _Finder(text).command(Trigger.AGENT, helper)
    yield from _server_commands(text)


def _hook_commands(value: Any, depth: int) -> Iterator[str]:
    """Every command under a ``hooks`` key, however deep the tool at hand nests them."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key in {"command", "bash", "powershell", "run"} and isinstance(item, str):
                yield _line(item, value.get("args"))
            elif key == "url" and isinstance(item, str) and value.get("type") == "http":
                # A hook of this kind posts each event to the address.
                yield f"curl -X POST --data-binary @- {shlex.quote(item)}"
            else:
                yield from _hook_commands(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _hook_commands(item, depth + 1)


def _server_commands(text: str) -> Iterator[StartedCommand]:
    for server in servers(text):
        if server.command:
            command, *arguments = server.command
            line = command if " " in command and not arguments else shlex.join(server.command)
            yield StartedCommand(Trigger.SERVER, line, server.start, server.end)


def _words(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [word for word in listed if isinstance(word, str)]


def servers(text: str) -> list[Server]:
    """The servers of an MCP configuration: ``mcpServers``, ``servers`` (VS Code), ``mcp.servers``, ``context_servers`` (Zed)."""
    document = read_json(text) if len(text) <= MAX_CONFIGURATION else None
    if not isinstance(document, dict):
        return []
    nested = document.get("mcp")
    groups = [
        document.get("mcpServers"),
        document.get("servers"),
        document.get("context_servers"),
        nested.get("servers") if isinstance(nested, dict) else None,
    ]
    found: list[Server] = []
    finder = _Finder(text)
    for group in groups:
        for name, raw in group.items() if isinstance(group, dict) else ():
            if not isinstance(raw, dict) or len(found) >= MAX_COMMANDS:
                continue
            command, arguments = raw.get("command"), raw.get("args")
            if isinstance(command, dict):  # Zed's form
                arguments = command.get("args")
                command = command.get("path")
            words = [*_words(command), *(_words(arguments) if isinstance(arguments, list) else [])][:MAX_WORDS]
            url = raw.get("url") or raw.get("serverUrl") or raw.get("httpUrl")
            headers = raw.get("headers")
            values = _words(list(headers.values())) if isinstance(headers, dict) else []
            variables = raw.get("env")
            given = tuple(str(key) for key in variables)[:MAX_WORDS] if isinstance(variables, dict) else ()
            place = finder.command(Trigger.SERVER, str(name))
            address = url if isinstance(url, str) else ""
            found.append(
                Server(str(name), tuple(words), address, tuple(values[:MAX_WORDS]), given, place.start, place.end)
            )
    return found


# -- other forms ----------------------------------------------------------------------------------------------------------

_RUN = re2.compile(r"(?mi)^[ \t]*RUN[ \t]+((?:--[\w-]+=\S+[ \t]+)*)((?:[^\n\\]|\\\r?\n|\\.)*)")


def _container_file(text: str) -> Iterator[StartedCommand]:
    for match in _RUN.finditer(text):
        command = match[2].replace("\\\r\n", " ").replace("\\\n", " ")
        if command.lstrip().startswith("["):
            words = read_json(command)
            command = _line(words) if isinstance(words, list) else command
        yield StartedCommand(Trigger.BUILD, command, match.start(2), match.end(2))


def _workflow(text: str) -> Iterator[StartedCommand]:
    yield from _yaml_commands(text, Trigger.WORKFLOW, {"run"})


def _yaml_commands(text: str, trigger: Trigger, keys: set[str]) -> Iterator[StartedCommand]:
    finder = _Finder(text)
    for command in texts_under(text.replace("\r\n", "\n"), keys):
        yield finder.command(trigger, command, command.split("\n", 1)[0].strip())


_FRONT_MATTER = re2.compile(r"(?s)\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*\r?(?:\n|\z)")
_HOOKS_KEY = re2.compile(r"(?m)^hooks:[ \t\r]*(?:\n(?:[ \t-][^\n]*)?)+")
_LOADED = re2.compile(r"(?m)(?:^|[\s(:])!`([^`\n]+)`")


def _skill(text: str) -> Iterator[StartedCommand]:
    """Hooks in the front matter, and the commands that some agents run in place of ``!`command` `` before the model reads a line."""
    front = _FRONT_MATTER.match(text) if "hooks:" in text else None
    hooks = _HOOKS_KEY.search(front[1]) if front is not None else None
    if front is not None and hooks is not None:
        yield from _yaml_commands(hooks.group().replace("\r", ""), Trigger.AGENT, {"command"})
    for match in _LOADED.finditer(text):
        yield StartedCommand(Trigger.LOADING, match[1], match.start(1), match.end(1))
