"""Programs that are run: by name, by list, through a shell, and through their input."""

from __future__ import annotations

from collections.abc import Sequence

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import PROCESS_CALLS, SHELL_CALLS
from sigma_core.sandbox.python.constants import shown
from sigma_core.sandbox.python.paths import file_source, secret_of
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value
from sigma_core.sandbox.vocabulary import name_set

_SHELL_METHODS = name_set("system popen getoutput getstatusoutput")
"""Methods of an object that is not known, whose names say that they run a command line."""
_COMMAND_FLAGS = name_set("-c -lc -ic /c /C /k -Command -command -EncodedCommand -enc")
_MAY_RUN = re2.compile(r"^(?:-[^-]|/[ckCK]$|--(?:eval|exec|command|print|require|import)$)")
"""Options of an interpreter that can be followed by code."""
_INTERPRETERS = name_set("python bash sh zsh dash ksh node perl ruby php powershell pwsh cmd deno bun osascript")
_WRAPPERS = name_set("sudo nohup chmod env timeout nice setsid stdbuf xargs")
_CARRIERS = name_set("curl wget nc ncat netcat scp rsync sftp ftp http https gh aws gsutil rclone telnet socat mail sendmail")  # fmt: skip
_LOOKUPS = name_set("nslookup dig host drill ping")
_FETCHERS = name_set("curl wget http https")
_HOST_PROGRAMS = name_set("hostname whoami uname id ifconfig ipconfig systeminfo arp ip dscl sw_vers system_profiler")
_PERSONAL_PROGRAMS = name_set("security pbpaste osascript xclip xsel wl-paste screencapture scrot import gnome-screenshot secret-tool")  # fmt: skip
_OPERANDS = name_set("os.execl os.execle os.execlp os.execlpe os.spawnl os.spawnle os.spawnlp os.spawnlpe asyncio.create_subprocess_exec asyncio.subprocess.create_subprocess_exec")  # fmt: skip
"""Calls that take the words of a command as arguments of their own."""
_LISTED = name_set("os.execv os.execve os.execvp os.execvpe os.posix_spawn os.posix_spawnp os.spawnv os.spawnve os.spawnvp os.spawnvpe")  # fmt: skip
"""Calls that take the program and then the list of its words."""


def ran(state: State, call: Call) -> Value | None:
    """A command that is run: what it is, what reaches it, and what its output carries."""
    if call.name not in SHELL_CALLS and call.name not in PROCESS_CALLS:
        if call.method in _SHELL_METHODS and call.name.startswith("."):
            state.flow(only(call.first.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, call.method, call.node)
        return None
    command = _command(call)
    words = tuple(shown(item) if item.constant is not None else "" for item in command.items or ())
    text = command.text if command.items is None else " ".join(_quote(word) for word in words)
    shell = call.keywords.get("shell", UNKNOWN)
    in_shell = (
        call.name in SHELL_CALLS
        or ("shell" in call.keywords and shell.name != "False")
        or (len(words) >= 3 and words[1] in _COMMAND_FLAGS)
    )
    program = _program(words[0] if words else text.split(" ", 1)[0])
    subject = (words[0] if words else text or "?").split("\n")[0][:80]
    state.can(Ability.SHELL if in_shell else Ability.PROCESS, subject, call.node)
    _embed(state, call, text, words)
    # In an argument list only the program itself is run; what follows it is data, but for an interpreter's script.
    if not words or in_shell or not words[0]:
        run = command.labels if in_shell or not command.items else _run_words(command.items, words)
        state.flow(only(run, Source.REMOTE, Source.DECODED), Sink.EXECUTE, call.name, call.node)
        if not text:
            state.flow(only(run, Source.REQUEST), Sink.EXECUTE, call.name, call.node)
    if program in _CARRIERS or (in_shell and _names_carrier(text)):
        carried = join(command.labels, call.keywords.get("input", UNKNOWN).labels, call.keywords.get("stdin", UNKNOWN).labels)  # fmt: skip
        for word in words[1:] if program in _CARRIERS else ():
            # `-d @file`, `-F f=@file`, `--upload-file file`: the file goes, not its name.
            carried = join(carried, state.written.get(word.rpartition("@")[2], NO_LABELS))
        state.flow(only(carried, *SENDABLE), Sink.SEND, _url_of(text), call.node)
    for path in sorted(_files_run(text, words)):
        state.flow(only(state.labels_at(path), Source.REMOTE, Source.DECODED), Sink.EXECUTE, f"{call.name} {path}", call.node)  # fmt: skip
        state.embed(
            "written-file", "python" if path.endswith(".py") else "shell", state.contents.get(path, ""), call.node
        )
    if any(call.keywords.get(stream, UNKNOWN).name.startswith("socket.") for stream in ("stdin", "stdout")):
        state.hit("SIGMA-THREAT-004", "socket as input and output of a program", call.node)
    _saved(state, program, words)
    _fed(state, call, program, call.keywords.get("input") or call.keywords.get("stdin", UNKNOWN))
    if program in _LOOKUPS and "." in text:
        state.flow(only(command.labels, *SENDABLE), Sink.NAME_LOOKUP, text[:200], call.node)
    labels = join(only(command.labels, Source.SECRET_FILE), _output_labels(text, words))
    started = call.name.endswith(("Popen", "create_subprocess_exec", "create_subprocess_shell", "pexpect.spawn"))
    return Value(program or None, labels, "process") if started else Value(labels=labels, name="response")


def _run_words(items: Sequence[Value], words: Sequence[str]) -> Labels:
    """What reaches the words that are run where the program is not known: itself, its script, and what follows an option that may say "run this"."""
    run = [item.labels for place, item in enumerate(items) if place < 2 or _MAY_RUN.search(words[place - 1])]
    return join(*run)


def _command(call: Call) -> Value:
    if call.name in _OPERANDS and len(call.arguments) > 1:
        words = call.arguments[1:] if call.name.startswith(("os.exec",)) else call.arguments[2 if call.name.startswith("os.spawn") else 0 :]  # fmt: skip
        return Value(labels=join(*(word.labels for word in words)), items=words)
    if call.name in _LISTED:
        return next((argument for argument in call.arguments if argument.items is not None), call.first)
    return call.keywords.get("args") or call.keywords.get("command") or call.keywords.get("cmd") or call.first


def _embed(state: State, call: Call, text: str, words: tuple[str, ...]) -> None:
    if len(words) >= 3 and words[1] in _COMMAND_FLAGS | {"-e"} and words[2]:
        program = _program(words[0])
        language = "python" if program == "python" else "javascript" if program in {"node", "deno", "bun"} else "shell"
        state.embed("command", language, words[2], call.node)
    elif text:
        state.embed("command", "shell", text, call.node)


def _program(word: str) -> str:
    """The name of a program without its folder and version."""
    name = word.replace("\\", "/").rpartition("/")[2].strip("'\"").removesuffix(".exe")
    return name.rstrip("0123456789.") or name


def _names_carrier(text: str) -> bool:
    return any(_program(word) in _CARRIERS for word in text[:4_096].replace("|", " ").replace(";", " ").split())


def _saved(state: State, program: str, words: tuple[str, ...]) -> None:
    """``curl -o path url`` in a list: what was fetched lies at the path."""
    if program not in _FETCHERS:
        return
    url = _url_of(" ".join(words))
    for at, word in enumerate(words[:-1]):
        if word in {"-o", "-O", "--output", "-qO", "-sLo", "-Lo", "-so", "-fsSLo", "--output-document"}:
            state.remember(words[at + 1], frozenset({(Source.REMOTE, url or "?")}))


def _fed(state: State, call: Call, program: str, given: Value) -> None:
    """What an interpreter or a scheduler is given on its input is run."""
    if program in _INTERPRETERS:
        state.flow(only(given.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, program, call.node)
        state.embed("piped", "python" if program == "python" else "shell", given.text, call.node)
    elif program in {"crontab", "at", "launchctl", "schtasks", "systemctl"} and (given.text or given.labels):
        state.can(Ability.PERSISTENCE, program, call.node)
        state.hit("SIGMA-THREAT-006", program, call.node)
        state.flow(only(given.labels, Source.REMOTE, Source.DECODED), Sink.AUTOSTART, program, call.node)
        state.embed("crontab", "shell", given.text, call.node)


def fed(state: State, call: Call) -> Value | None:
    """``communicate`` and ``stdin.write`` of a process that was started."""
    if call.name == "pty.fork":
        return Value(name="list", items=(UNKNOWN, Value("sh", name="process.stdin")))
    if call.method == "fileno" and call.holder.name == "process.stdin":
        return call.holder
    if call.name == "os.write" and call.first.name == "process.stdin":
        _fed(state, call, call.first.text, call.argument(1))
        return UNKNOWN
    if call.holder.name in {"process", "process.stdin"} and call.method in {"communicate", "write", "sendline", "send"}:
        _fed(state, call, call.holder.text, call.argument(0, "input"))
        if call.holder.text in _CARRIERS:
            state.flow(only(call.labels, *SENDABLE), Sink.SEND, "", call.node)
        return Value(labels=call.holder.labels, name="response", items=(Value(labels=call.holder.labels),) * 2 if call.method == "communicate" else None)  # fmt: skip
    return None


def _files_run(text: str, words: tuple[str, ...]) -> frozenset[str]:
    """The files that a command runs: the program, and the script of an interpreter."""
    words = words or tuple(text[:4_096].split())
    runs = set(words[:1])
    if words and _program(words[0]) in _INTERPRETERS | _WRAPPERS:
        runs |= {word for word in words[1:] if not word.startswith("-")}
    return frozenset(runs)


def _url_of(text: str) -> str:
    urls = vocabulary.urls_in(text[:16_384])
    return urls[0][2] if urls else ""


def _quote(word: str) -> str:
    plain = word and not any(character in word for character in " \t\n'\"$&|;<>()")
    return word if plain else "'" + word.replace("'", "") + "'"


def _output_labels(text: str, words: tuple[str, ...]) -> Labels:
    """What the output of a command carries."""
    text = text[:4_096]
    secret = secret_of(text)
    if secret and not secret.startswith(".env"):
        return frozenset({(file_source(secret), secret)})
    words = words or tuple(text.split())
    program = _program(words[0]) if words else ""
    if program in _FETCHERS and (url := _url_of(text)):
        return frozenset({(Source.REMOTE, url)})
    if program in _LOOKUPS and (
        asked := next((word for word in words[1:] if "." in word and word[0] not in "+@-"), "")
    ):
        return frozenset({(Source.REMOTE, asked)})
    if program in {"env", "printenv", "set", "export"} and len(words) == 1:
        return frozenset({(Source.ENVIRONMENT, "env")})
    if program in _HOST_PROGRAMS:
        return frozenset({(Source.HOST_DATA, program)})
    if program in _PERSONAL_PROGRAMS:
        return frozenset({(Source.PERSONAL, program)})
    return NO_LABELS
