"""Which command is read by what, and what becomes of those that have no reader."""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.sandbox.observations import Ability, Sink, join, only
from sigma_core.sandbox.powershell.call import Call
from sigma_core.sandbox.powershell.code_commands import CODE_COMMANDS
from sigma_core.sandbox.powershell.machine_commands import MACHINE_COMMANDS
from sigma_core.sandbox.powershell.script import FOREIGN, Script
from sigma_core.sandbox.powershell.web_commands import WEB_COMMANDS
from sigma_core.sandbox.shell.values import Word
from sigma_core.sandbox.vocabulary import name_set


def _pass_on(_script: Script, call: Call) -> Word:
    word = call.first
    return Word(word.text, call.labels, word.built, word.items)


_COMMANDS: dict[str, Callable[[Script, Call], Word]] = {
    **WEB_COMMANDS,
    **CODE_COMMANDS,
    **MACHINE_COMMANDS,
    **dict.fromkeys(
        name_set(
            "write-output convertto-json convertfrom-json out-string select-object foreach-object where-object sort-object new-object"
        ),
        _pass_on,
    ),
}


def run(script: Script, call: Call) -> Word:
    """What a command does; the result is what it writes."""
    name = call.name
    if call.path.built and name in _COMMANDS and call.path.text.replace("-", "").isalpha():
        script.hit("SIGMA-OBF-010", name, call.span)
    reader = _COMMANDS.get(name)
    if reader is not None:
        return reader(script, call)
    # What `&` calls may be a text, a block, or a file that was fetched.
    fetched = join(only(call.path.labels, *FOREIGN), only(script.origin(call.path.text), *FOREIGN))
    if fetched:
        script.flow(fetched, Sink.EXECUTE, call.path.text[:80], call.span)
    if name and not name.startswith("$") and (name[0].isalpha() or call.called):
        script.can(Ability.PROCESS, name[:80], call.span)
    return Word("", join(call.path.labels, call.labels))
