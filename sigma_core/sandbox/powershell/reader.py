"""A whole text: PowerShell, a batch file, or another scripting language of desktops that holds command lines."""

from __future__ import annotations

import re2

from sigma_core.sandbox.observations import Observations
from sigma_core.sandbox.peer_commands import read_peer_commands
from sigma_core.sandbox.powershell.batch import looks_like_batch, read_batch
from sigma_core.sandbox.powershell.script import Script
from sigma_core.sandbox.powershell.tokens import tokens_of
from sigma_core.sandbox.powershell.walk import Walk

WORK_PER_CHARACTER = 16
LEAST_WORK = 262_144
_HOST_SCRIPTS = re2.compile(r'(?i)(?:\bdo shell script |\.(?:Run|Exec|ShellExecute)[ (]+)"((?:[^"\\\n]|\\.|"")+)"')
"""AppleScript and Visual Basic: the text of a command line."""


def read_powershell(source: str) -> Observations:
    """Observations of PowerShell or batch ``source``; never raises: what is no command is passed over."""
    source = source.encode("utf-8", "replace").decode()
    script = _script(source)
    for match in _HOST_SCRIPTS.finditer(source):
        script.embed("command", "guess", match.group(1).replace('""', '"').replace('\\"', '"'), match.span())
    if looks_like_batch(source):
        read_batch(script, source, _read_commands)
    else:
        Walk(script, tokens_of(source)).read()
    read_peer_commands(source, script.out)
    return script.out


def _read_commands(source: str) -> Observations:
    script = _script(source)
    Walk(script, tokens_of(source)).read()
    return script.out


def _script(source: str) -> Script:
    return Script(Observations(), source, LEAST_WORK + WORK_PER_CHARACTER * len(source))
