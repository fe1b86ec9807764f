"""Programs that a script starts."""

from __future__ import annotations

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import Call, Value, sendable
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

_MODULES = name_set("child_process execa shelljs zx cross-spawn tinyexec nano-spawn node-pty")
_SHELL = name_set("exec execSync command execaCommand execaCommandSync $")
_PROCESS = name_set("spawn spawnSync execFile execFileSync fork execa execaSync sync run Command x")
_BARE = name_set("execSync spawnSync execFileSync")
"""Names that a snippet without its imports means as those of child_process."""
_RUNTIMES = name_set("Deno.run Deno.Command Bun.spawn Bun.spawnSync Bun.$")
_CODE_OPTIONS = frozenset({"-c", "-e", "-lc", "/c", "-Command"})
_INTERPRETERS = name_set("sh bash zsh node python python3 chmod cmd powershell pwsh open start")
_SHELLS = name_set("sh bash zsh dash ksh cmd powershell pwsh")
_HOST_COMMANDS = name_set("whoami hostname id uname ifconfig ipconfig systeminfo")


def runs(name: str) -> bool:
    """Whether ``name`` is that of a function which runs the text that it is given."""
    module, _, method = name.removeprefix("node:").partition(".")
    return method in _SHELL and module in _MODULES


def program_of(reader: Reader, call: Call) -> Value | None:
    """What a call starts, or None for a call that starts no program."""
    name = call.name.removeprefix("new ")
    method = name.rpartition(".")[2]
    known_module = name.removeprefix("node:").partition(".")[0] in _MODULES and method in _SHELL | _PROCESS | _MODULES
    template = call.node.child_by_field_name("arguments")
    known_module |= name in _BARE
    by_template = name == "$" and template is not None and template.type == "template_string"
    if not (known_module or name in _RUNTIMES or by_template):
        return None
    by_shell = method in _SHELL
    command, words = _command_line(call)
    labels = call.labels
    reader.can(Ability.SHELL if by_shell else Ability.PROCESS, (command or "?")[:80], call.node)
    program = command
    if not by_shell and words:
        if len(words) > 1 and words[0] in _CODE_OPTIONS:
            language = (
                "powershell"
                if "powershell" in command or "pwsh" in command
                else "javascript"
                if "node" in command
                else "python"
                if "python" in command
                else "shell"
            )
            reader.embed("command", language, words[1], call.node)
        else:
            command = " ".join([command, *words])
    if command:
        reader.embed("command", "shell", command, call.node)
    # What a known program is given is its data, unless that program runs what it is given.
    given = by_shell or not program or program.rpartition("/")[2].removesuffix(".exe") in _INTERPRETERS
    ran = only(labels, Source.REMOTE, Source.DECODED) if given else only(labels, Source.REMOTE)
    if command in {"", "{}"} and not call.first.parts:
        ran = join(ran, only(call.first.labels, Source.REQUEST))
    reader.flow(ran, Sink.EXECUTE, method, call.node)
    sent = vocabulary.urls_in(command)
    fetches = "curl" in command or "wget" in command
    if sent and fetches:
        reader.flow(sendable(labels), Sink.SEND, sent[0][2], call.node)
    _run_written(reader, call, program, command, words)
    return Value(name=_child(program), labels=_output(command, sent[0][2] if sent and fetches else ""))


def _child(program: str) -> str:
    """``shell`` for a program that runs what it reads, ``child`` for any other."""
    if program.split(" ", 1)[0].rpartition("/")[2].removesuffix(".exe") in _SHELLS:
        return "shell"
    return "child"


def fed(reader: Reader, call: Call) -> Value | None:
    """What is written to a shell that was started."""
    if call.holder.name.partition(".")[0] != "shell" or call.method not in {"write", "end"}:
        return None
    reader.flow(only(call.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, "stdin", call.node)
    return Value()


def _command_line(call: Call) -> tuple[str, tuple[str, ...]]:
    """The program or command line, and its arguments where they stand apart."""
    options = call.argument(1) if not call.first.fields else call.first
    fields = options.fields or {}
    if call.first.parts:
        return call.first.parts[0], call.first.parts[1:]
    if "cmd" in fields:
        return (fields["cmd"].parts or ("",))[0], fields["cmd"].parts[1:]
    words = call.argument(1).parts or (fields["args"].parts if "args" in fields else ())
    return call.first.constant or "", words


def _run_written(reader: Reader, call: Call, program: str, command: str, words: tuple[str, ...]) -> None:
    runs = {command, program}
    tokens = command.split()[:64] if not words else [program, *words]
    if tokens:
        runs |= {tokens[0]}
        if tokens[0].rpartition("/")[2].removesuffix(".exe") in _INTERPRETERS:
            runs |= set(tokens[1:])
    for key in sorted(runs & reader.written.keys()):
        reader.flow(
            only(reader.written[key], Source.REMOTE, Source.DECODED), Sink.EXECUTE, f"{call.method} {key}", call.node
        )


def _output(command: str, fetched: str) -> Labels:
    """Where what the command writes comes from."""
    secret = vocabulary.secret_file(command)
    first = command.split(maxsplit=1)[0].rpartition("/")[2] if command.strip() else ""
    return join(
        frozenset({(Source.SECRET_FILE, secret)}) if secret and not secret.startswith(".env") else NO_LABELS,
        frozenset({(Source.ENVIRONMENT, "env")}) if command.strip() in {"env", "printenv"} else NO_LABELS,
        frozenset({(Source.HOST_DATA, first)}) if first in _HOST_COMMANDS else NO_LABELS,
        frozenset({(Source.REMOTE, fetched)}) if fetched else NO_LABELS,
    )
