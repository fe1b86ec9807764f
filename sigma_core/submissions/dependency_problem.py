"""One broken dependency rule, the table of the rules, and what the ecosystems share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigma_core.submissions.package import PackageFile
from sigma_core.submissions.refusal import printable

DEPENDENCY_RULES: dict[str, str] = {
    "DEPENDENCY_UNPINNED": "a dependency names an exact version or a range with a bound; no bare name, '*' or tag",
    "DEPENDENCY_UNRESOLVABLE": "some version must be able to satisfy the range",
    "DEPENDENCY_VCS": "a dependency comes from the public index, not from a version control system",
    "DEPENDENCY_LOCAL_PATH": "a dependency comes from the public index, not from a path",
    "DEPENDENCY_URL": "a dependency comes from the public index, not from a URL",
    "DEPENDENCY_PRIVATE_INDEX": "only the public index of the ecosystem may be used",
    "DEPENDENCY_MALFORMED": "a dependency is written in its ecosystem's syntax",
    "DEPENDENCY_FILE_UNREADABLE": "a dependency file is UTF-8 text of its own format",
}
"""Every dependency rule by its code."""

MAX_PROBLEMS_PER_FILE = 100
"""Enough to act on; each costs a search for its line."""


@dataclass(frozen=True, slots=True, order=True)
class DependencyProblem:
    """``text`` is what breaks the rule of ``code`` at ``file``:``line`` (1-based)."""

    file: str
    line: int
    code: str
    text: str

    @property
    def rule(self) -> str:
        """The rule as a sentence."""
        return DEPENDENCY_RULES[self.code]

    def as_json(self) -> dict[str, Any]:
        """``{file, line, rule, code, text}``."""
        return {"file": self.file, "line": self.line, "rule": self.rule, "code": self.code, "text": self.text}


class DependencyFile:
    """The text of one file, and the problems found in it so far."""

    def __init__(self, file: PackageFile) -> None:
        self.path = file.path
        self.problems: list[DependencyProblem] = []
        self.text = file.content.decode("utf-8", "replace").removeprefix("\ufeff")
        if "\ufffd" in self.text:
            self.add("DEPENDENCY_FILE_UNREADABLE", 1, "not UTF-8")

    def add(self, code: str, line: int, text: str) -> None:
        """Note one problem, unless the file has its fill."""
        if not self.is_full:
            self.problems.append(DependencyProblem(self.path, line, code, printable(text)))

    @property
    def is_full(self) -> bool:
        """Whether further problems of this file go untold."""
        return len(self.problems) >= MAX_PROBLEMS_PER_FILE

    def line_of(self, needle: str, after: str = "") -> int:
        """The line where ``needle`` stands, in quotes or else bare, behind the first ``after``; 1 when it is not there."""
        start = max(0, self.text.find(after))
        places = (self.text.find(form, start) for form in (f'"{needle}"', f"'{needle}'", needle))
        at = next((place for place in places if place >= 0), start)
        return self.text.count("\n", 0, at) + 1
