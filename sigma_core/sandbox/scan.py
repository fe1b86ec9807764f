"""One file being read: what its layers share (budgets, rules, what is reported), and one layer with what its readers share.

Readers are functions of a `LayerScan`; they report through it and hand what they uncover back to it, and never call each other's layers directly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import re2

from sigma_core.policy import SandboxBudgets
from sigma_core.sandbox.budget import BudgetExhausted, WorkMeter
from sigma_core.sandbox.confusables import QUOTES, SPACES
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.readings import Asked, Finding, Reading
from sigma_core.sandbox.rules import Possible, Rule, RuleBook
from sigma_core.sandbox.sentences import Sentence
from sigma_core.submissions.package import PackageFile

_PLAIN = SPACES | QUOTES
_ODD = re2.compile("[" + "".join(map(chr, _PLAIN)) + "]")


class FileScan:
    """The state of one file's inspection.

    ``read_layer(layer, hidden_check)`` reads an uncovered text to its end, ``read_bytes(data, layer_path, origin, depth)`` uncovered bytes.
    """

    def __init__(
        self,
        file: PackageFile,
        rules: RuleBook,
        budgets: SandboxBudgets,
        meter: WorkMeter,
        read_layer: Callable[[Layer, bool], None],
        read_bytes: Callable[[bytes, str, Location | None, int], None],
    ) -> None:
        self.file = file
        self.rules = rules
        self.budgets = budgets
        self.meter = meter
        self.read_layer = read_layer
        self.read_bytes = read_bytes
        self.reading = Reading(file.path)
        self._texts: set[bytes] = set()

    def find(self, rule_id: str, subject: str, at: Location, line: str = "") -> None:
        """Report a rule at a place of the file."""
        self.reading.findings.append(Finding(rule_id, subject, at, line, "use", False))

    def incomplete(self, analyser: str, reason: str, partial: str) -> None:
        """Note in the ledger that something was not read, and why."""
        self.reading.incidents.append((analyser, reason))
        self.reading.partial = partial

    def bound(self, name: str, at: Location) -> None:
        """A bound was hit: a fact, and a gap in the coverage."""
        self.find("SIGMA-OBF-008", name, at)
        self.incomplete("bound", name, name)

    def count_layer(self, at: Location) -> None:
        """One layer more; raises BudgetExhausted past the bound."""
        self.reading.layers += 1
        if self.reading.layers > self.budgets.max_layers_per_file:
            self.bound("max_layers_per_file", at)
            raise BudgetExhausted("max_layers_per_file")

    def first_time(self, kind: FileKind, text: str) -> bool:
        """Whether ``text`` was not read as ``kind`` before in this file."""
        key = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), digest_size=16, person=kind.value.encode()
        ).digest()
        new = key not in self._texts
        self._texts.add(key)
        return new


class LayerScan:
    """One layer being read. ``shown`` are its listings that are talked about, not done, ``warned_of`` all its parts of
    that kind; both are set by the document reader."""

    def __init__(self, scan: FileScan, layer: Layer) -> None:
        self.scan = scan
        self.layer = layer
        self.shown: list[tuple[int, int]] = []
        self.warned_of: list[tuple[int, int]] = []

    @cached_property
    def _possible(self) -> Possible:
        text = self.layer.text
        odd = not text.isascii() and _ODD.search(text)
        return self.scan.rules.possible(text.translate(_PLAIN) if odd else text)

    def matches(self, surface: str, text: str) -> list[tuple[Rule, int, int]]:
        """``(rule, start, end)`` of every match of ``surface``'s rules in ``text``, a stretch of the layer."""
        return self._possible.matches(surface, text)

    def report(self, rule_id: str, subject: str, start: int, end: int, context: str = "use") -> None:
        """Report a rule at the characters ``start:end`` of the layer."""
        layer = self.layer
        self.scan.reading.findings.append(
            Finding(rule_id, subject, layer.locate(start, end), layer.around(start), context, layer.hidden)
        )

    def ask(self, sentences: Sequence[Sentence]) -> None:
        """Report what the ``sentences`` ask for."""
        layer = self.layer
        frames = self.scan.rules.frames
        if layer.hidden:
            # What was decoded and speaks to an agent was meant for nobody else.
            spoken = frames.terms_of(sentences)
            by_markup = layer.path.rpartition("/")[2].startswith("hidden-style")
            sentences = [
                replace(sentence, unseen=by_markup or "addressed" in terms)
                for sentence, terms in zip(sentences, spoken, strict=True)
            ]
        for instruction in frames.read(sentences):
            context = "use" if layer.hidden else instruction.context
            at = layer.locate(instruction.start, instruction.end)
            text = instruction.text.strip()
            finding = Finding(instruction.rule_id, text[:120], at, text[:280], context, layer.hidden)
            self.scan.reading.asked.append(Asked(finding, instruction.remotes, instruction.linked))

    def is_shown(self, offset: int) -> bool:
        """Whether what stands at ``offset`` is talked about."""
        return any(start <= offset < end for start, end in self.shown)

    def is_warned_of(self, first: int, last: int) -> bool:
        """Whether a part that is talked about begins or ends within ``first:last``, or holds it."""
        return any(start < last and first < end for start, end in self.warned_of)

    def descend(
        self,
        step: str,
        text: str,
        kind: FileKind,
        start: int,
        end: int,
        *,
        hidden: bool = True,
        hidden_check: bool = True,
    ) -> None:
        """Read ``text``, which ``step`` uncovered at ``start:end``, as a layer; each text once, to a bounded depth."""
        if text == self.layer.text or not self.scan.first_time(kind, text):
            return
        if self.layer.depth >= self.scan.budgets.max_layer_depth:
            self.scan.bound("max_layer_depth", self.layer.locate(start, end))
            return
        if not hidden and self.scan.reading.layers >= self.scan.budgets.max_layers_per_file - 1:
            return
        self.scan.read_layer(self.layer.child(step, text, kind, start, end, hidden=hidden), hidden_check)

    def descend_bytes(self, step: str, data: bytes, start: int, end: int) -> None:
        """Read ``data``, which is no text, as what it is: an archive, a program, a document."""
        if self.layer.depth >= self.scan.budgets.max_layer_depth:
            self.scan.bound("max_layer_depth", self.layer.locate(start, end))
            return
        at = self.layer.locate(start, end)
        path = f"{self.layer.path}/{step}@{at.byte_start}".strip("/")
        self.scan.read_bytes(data, path, self.layer.origin or at, self.layer.depth + 1)
