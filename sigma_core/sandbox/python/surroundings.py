"""The machine and the person: environment variables, names of host and user, clipboard, screen, keys; and what shows where the code runs."""

from __future__ import annotations

import ast

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import HOST_CALLS, LOG_CALLS, PERSONAL_CALLS
from sigma_core.sandbox.python.paths import HOME_VARIABLES, PATH
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value, text_value
from sigma_core.sandbox.vocabulary import name_set

ENVIRONMENT: Labels = frozenset({(Source.ENVIRONMENT, "os.environ")})
_VARIABLE_CALLS = name_set("os.getenv os.environ.get os.environ.pop os.environ.setdefault os.environ.__getitem__ decouple.config environ.Env")  # fmt: skip
_HOST_VARIABLES = name_set("USER USERNAME LOGNAME COMPUTERNAME HOSTNAME USERDOMAIN")
_CLIPBOARD_WRITES = name_set("pyperclip.copy clipboard.copy win32clipboard.SetClipboardText win32clipboard.SetClipboardData")  # fmt: skip
_PAYMENT_ADDRESS = re2.compile(r"^\s*(?:0x[0-9a-fA-F]{40}|bc1[0-9a-z]{25,60}|[13][1-9A-HJ-NP-Za-km-z]{25,34}|T[1-9A-HJ-NP-Za-km-z]{33}|[48][1-9A-HJ-NP-Za-km-z]{94}|[1-9A-HJ-NP-Za-km-z]{43,44}|r[1-9A-HJ-NP-Za-km-z]{24,34}|ltc1[0-9a-z]{25,60})\s*$")  # fmt: skip
_MAX_ADDRESS = 128
_REGISTRY = name_set("winreg.SetValueEx winreg.SetValue winreg.CreateKey winreg.CreateKeyEx _winreg.SetValueEx")


def variable(state: State, name: Value, node: ast.AST) -> Value:
    """The value of an environment variable."""
    texts: tuple[str, ...] = ()
    labels: Labels = frozenset()
    if name.comes_from(Source.ENVIRONMENT):
        return Value(labels=ENVIRONMENT)
    for text in name.texts or ("?",):
        state.can(Ability.ENVIRONMENT, text, node)
        if text in HOME_VARIABLES:
            texts += (HOME_VARIABLES[text],)
        elif text in _HOST_VARIABLES:
            labels = join(labels, frozenset({(Source.HOST_DATA, text)}))
        elif text != "?" and vocabulary.secret_variable(text):
            labels = join(labels, frozenset({(Source.SECRET_VARIABLE, text)}))
    return text_value(texts, labels)


def surrounding(state: State, call: Call) -> Value | None:
    """Reads of the environment, of the host's and the person's data."""
    if call.name in _VARIABLE_CALLS and call.arguments:
        read = variable(state, call.first, call.node)
        default = call.argument(1, "default")
        return read if read.constant is not None or not (default.text or default.name) else Value(default.constant, join(read.labels, default.labels), default.name, default.folded, default.others)  # fmt: skip
    if call.name in {"os.environ.update", "os.environ.setdefault"}:
        return UNKNOWN
    if call.name.startswith("os.environ.") or call.name in {"os.environb.copy", "os.environ"}:
        return Value(labels=ENVIRONMENT)
    if call.name == "dict" and call.arguments and call.first.name == "os.environ":
        return Value(labels=ENVIRONMENT)
    if call.method in {"parse_args", "parse_known_args"}:
        return Value(labels=frozenset({(Source.INPUT, "argument")}))
    if call.name in HOST_CALLS:
        return Value(labels=frozenset({(Source.HOST_DATA, call.name)}))
    if call.name in PERSONAL_CALLS:
        clipboard = "lip" in call.name or "paste" in call.name
        state.reads_clipboard |= clipboard
        state.can(Ability.CLIPBOARD if clipboard else Ability.SECRET_READ, call.name, call.node)
        labels: Labels = frozenset({(Source.PERSONAL, call.name)})
        for path in (text for value in call.arguments for text in value.texts):
            state.remember(path, labels)
        return Value(labels=labels, name="personal")
    if call.name in _CLIPBOARD_WRITES or call.method == "clipboard_append":
        state.can(Ability.CLIPBOARD, call.name, call.node)
        if state.reads_clipboard and any(
            _PAYMENT_ADDRESS.search(text[:_MAX_ADDRESS]) for value in call.arguments for text in value.texts
        ):
            state.hit("SIGMA-THREAT-048", "payment address", call.node)
        return UNKNOWN
    if call.name in _REGISTRY:
        state.can(Ability.PERSISTENCE, call.name, call.node)
        state.hit("SIGMA-THREAT-006", "registry value", call.node)
        return UNKNOWN
    if call.name in LOG_CALLS:
        contents = join(*(value.labels for value in call.arguments if value.name != PATH))
        state.flow(only(contents, Source.SECRET_FILE), Sink.LOG, call.name, call.node)
        return UNKNOWN
    if call.name in {"setuptools.setup", "distutils.core.setup"} and "cmdclass" in call.keywords:
        state.can(Ability.INSTALL_HOOK, "cmdclass", call.node)
        state.hit("SIGMA-SUPPLY-004", "cmdclass", call.node)
        return UNKNOWN
    if call.name in {"crontab.CronTab.new"}:
        state.can(Ability.PERSISTENCE, "crontab", call.node)
        state.hit("SIGMA-THREAT-006", "crontab", call.node)
        state.embed("crontab", "shell", call.argument(0, "command").text, call.node)
        return UNKNOWN
    return None


def shell_of_socket(state: State, call: Call) -> Value | None:
    """A socket put in the place of a program's input and output."""
    if call.method == "dup2":
        if (state.sockets and call.name == "os.dup2") or call.first.comes_from(Source.REMOTE):
            state.hit("SIGMA-THREAT-004", "os.dup2 of a socket", call.node)
        return UNKNOWN
    return None
