"""One PowerShell command with its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sigma_core.sandbox.observations import Labels, join
from sigma_core.sandbox.powershell.script import Span
from sigma_core.sandbox.shell.values import Word, base_name
from sigma_core.sandbox.vocabulary import name_set

_ALIASES = {
    "iex": "invoke-expression", "iwr": "invoke-webrequest", "irm": "invoke-restmethod", "wget": "invoke-webrequest", "curl": "invoke-webrequest",
    "gc": "get-content", "cat": "get-content", "type": "get-content", "sc": "set-content", "ac": "add-content", "gci": "get-childitem",
    "dir": "get-childitem", "ls": "get-childitem", "saps": "start-process", "start": "start-process", "ii": "invoke-item", "icm": "invoke-command",
    "sp": "set-itemproperty", "ri": "remove-item", "rm": "remove-item", "del": "remove-item", "erase": "remove-item", "rmdir": "remove-item", "rd": "remove-item",
    "cp": "copy-item", "copy": "copy-item", "cpi": "copy-item", "mv": "move-item", "move": "move-item", "gcb": "get-clipboard", "echo": "write-output", "write": "write-output",
}  # fmt: skip
_SWITCHES = name_set(
    "-usebasicparsing -passthru -force -recurse -wait -nonewwindow -append -raw -asplaintext -encodedcommand -noprofile -nop -noninteractive -noni -nologo -noexit -sta -useb -resume"
)


@dataclass(frozen=True)
class Call:
    """One command: its name, its arguments, what is piped in, and where it stands; ``called`` says that `&` or `.` stood before."""

    path: Word
    arguments: list[Word]
    stdin: Word
    span: Span
    called: bool

    @cached_property
    def name(self) -> str:
        """The command's full name, lower case."""
        base = base_name(self.path.text.replace("\\", "/"))
        return _ALIASES.get(base, base)

    @cached_property
    def labels(self) -> Labels:
        """Where the arguments and the input came from."""
        return join(self.stdin.labels, *(word.labels for word in self.arguments))

    @cached_property
    def texts(self) -> list[str]:
        """The arguments' texts."""
        return [word.text for word in self.arguments]

    def option(self, *names: str) -> Word | None:
        """The value of the first option whose name begins so, or None."""
        for at, text in enumerate(self.texts):
            lowered = text.lower().rstrip(":")
            if (
                len(lowered) > 1
                and lowered[0] in "-/"
                and any(lowered == name or (len(lowered) > 2 and name.startswith(lowered)) for name in names)
            ):
                return self.arguments[at + 1] if at + 1 < len(self.arguments) else Word("")
        return None

    @cached_property
    def operands(self) -> list[Word]:
        """The arguments that are neither options nor their values."""
        found, skip = [], False
        for word in self.arguments:
            option = word.text.startswith("-") and len(word.text) > 1
            if not option and not skip:
                found.append(word)
            skip = option and word.text.lower() not in _SWITCHES
        return found

    @property
    def first(self) -> Word:
        """The first operand, else what is piped in."""
        return self.operands[0] if self.operands else self.stdin
