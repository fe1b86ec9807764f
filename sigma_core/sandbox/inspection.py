"""One file read to the end: its bytes opened or made text, its layers each by the readers of its kind, down to a bounded depth; what they report are plain findings.

Whether a finding was shown or meant (``mention`` or ``use``) is decided where its surroundings are known; what it amounts to in this package is
decided in `sigma_core.sandbox.judgement`.
"""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.policy import SandboxBudgets
from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.budget import BudgetExhausted, WorkMeter
from sigma_core.sandbox.byte_text import text_of
from sigma_core.sandbox.code_reading import read_code
from sigma_core.sandbox.containers import read_container
from sigma_core.sandbox.data_reading import read_data
from sigma_core.sandbox.decoding import read_encoded, undo_unicode
from sigma_core.sandbox.document_reading import read_document
from sigma_core.sandbox.facts import FactKind, Location, Severity
from sigma_core.sandbox.html_reading import read_html
from sigma_core.sandbox.kinds import kind_by_magic, kind_by_name, kind_of_text_file
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.lock_files import is_lock_file, read_lock_file
from sigma_core.sandbox.notebooks import read_notebook
from sigma_core.sandbox.observations import Ability, Capability, Flow, Sink, Source
from sigma_core.sandbox.padding import read_padding
from sigma_core.sandbox.readings import Reading
from sigma_core.sandbox.rules import RuleBook
from sigma_core.sandbox.scan import FileScan, LayerScan
from sigma_core.sandbox.secrets import find_secrets, rule_of
from sigma_core.sandbox.started_commands import started_commands
from sigma_core.sandbox.vocabulary import HostClass
from sigma_core.submissions.package import PackageFile

_READERS: dict[FileKind, Callable[[LayerScan], None]] = {
    FileKind.MARKDOWN: read_document,
    FileKind.TEXT: read_document,
    FileKind.PYTHON: read_code,
    FileKind.SHELL: read_code,
    FileKind.JAVASCRIPT: read_code,
    FileKind.POWERSHELL: read_code,
    FileKind.CODE: read_code,
    FileKind.NOTEBOOK: read_notebook,
    FileKind.HTML: read_html,
}
_TAKEN = frozenset({Source.SECRET_FILE, Source.ENVIRONMENT, Source.HOST_DATA, Source.PERSONAL})
_REACHING_SINKS = frozenset({Sink.SEND, Sink.EXECUTE, Sink.NAME_LOOKUP, Sink.AGENT_FILE, Sink.AUTOSTART})
_REACHING_ABILITIES = frozenset({Ability.NETWORK, Ability.SECRET_READ, Ability.PERSISTENCE, Ability.AGENT_CONFIG})

_SEARCHED = frozenset({FileKind.BINARY, FileKind.EXECUTABLE, FileKind.FONT, FileKind.IMAGE, FileKind.MEDIA})
_SEARCHED_BYTES = 16
"""Bytes to one unit of work where bytes are only searched for a few marks: a font costs a fiftieth of a text."""


class FileInspector:
    """Reads one file into a `Reading`. Bounds and faults end in `Reading.incidents`, never in an exception."""

    def __init__(self, file: PackageFile, rules: RuleBook, budgets: SandboxBudgets, meter: WorkMeter) -> None:
        self.file = file
        self.scan = FileScan(file, rules, budgets, meter, self._read_layer, self.read_bytes)

    @property
    def reading(self) -> Reading:
        """What was found so far."""
        return self.scan.reading

    def read(self) -> Reading:
        """Inspect the file to the end or to a bound."""
        try:
            self.scan.meter.start_file()
            self.read_bytes(self.file.content, "", None, 0)
        except BudgetExhausted as bound:
            self.scan.incomplete("budget", bound.bound, bound.bound)
        if is_lock_file(self.file.path):
            self._read_lock()
        return self.reading

    def _read_lock(self) -> None:
        """Read the packages of a lock file; what cannot be read is a gap in the coverage."""
        self.reading.lock = read_lock_file(self.file.path, self.reading.text)
        if self.file.content and not self.reading.text and not self.reading.partial:
            self.scan.incomplete("lock_file", "not text", "lock file: not text")
        elif self.reading.lock is not None and self.reading.lock.fault:
            self.scan.incomplete("lock_file", self.reading.lock.fault, f"lock file: {self.reading.lock.fault}")

    # -- bytes --------------------------------------------------------------------------------------------------------

    def read_bytes(self, data: bytes, layer_path: str, origin: Location | None, depth: int) -> None:
        """Read ``data``, which was reached by ``layer_path`` from ``origin`` (None for the file itself)."""
        if not data:
            return
        kind = kind_by_magic(data)
        name = layer_path.rpartition("!")[2] if layer_path else self.file.path
        if kind is None:
            # Bytes past the budget are not even decoded: what is kept of a file must be paid for.
            self.scan.meter.require(len(data))
            decoded = text_of(data)
            if decoded is not None:
                self._read_text(*decoded, name, layer_path, origin, depth, len(data))
                return
            kind = kind_by_name(name) or FileKind.BINARY
        self.scan.meter.spend(len(data) // _SEARCHED_BYTES if kind in _SEARCHED else len(data))
        if depth == 0:
            self.reading.kind = kind
        whole = Location(self.file.path, 1, 1, 0, len(data), layer_path) if origin is None else origin
        read_container(self.scan, kind, data, name, layer_path, whole, depth)

    def _read_text(
        self, text: str, encoding: str, name: str, layer_path: str, origin: Location | None, depth: int, size: int
    ) -> None:
        if encoding:
            self.scan.find("SIGMA-OBF-007", encoding, origin or Location(self.file.path, 1, 1, 0, size, layer_path))
        kind = kind_of_text_file(name, text)
        if depth == 0:
            self.reading.kind = kind
            self.reading.text = text
        # An archive's members are packed, not disguised: a person who opens it sees them.
        hidden = depth > 0 and "!" not in layer_path
        self._read_layer(Layer(self.file.path, text, kind, layer_path, origin, hidden, depth))

    # -- text ---------------------------------------------------------------------------------------------------------

    def _read_layer(self, layer: Layer, hidden_check: bool = True) -> None:
        """Read one text layer by the reader of its kind, then every layer inside it."""
        scan = self.scan
        scan.count_layer(layer.origin or Location(self.file.path, 1, 1, 0, 0))
        scan.meter.spend(len(layer.text))
        before = len(self.reading.findings), len(self.reading.asked), len(self.reading.seen)
        at = LayerScan(scan, undo_unicode(scan, layer))
        _READERS.get(layer.kind, read_data)(at)
        if layer.depth == 0:
            self._started(at)
            read_padding(at)
        self._addresses_and_secrets(at)
        read_encoded(at)
        if at.layer.hidden and hidden_check and layer.origin is not None:
            self._hidden_threat(at.layer, layer.origin, *before)

    def _started(self, at: LayerScan) -> None:
        """Commands that the file has started, read as the shell would get them."""
        for command in started_commands(self.file.path, at.layer.text):
            at.descend(command.trigger.value, command.text, FileKind.SHELL, command.start, command.end, hidden=False)

    def _addresses_and_secrets(self, at: LayerScan) -> None:
        for start, end, url, host in vocabulary.urls_in(at.layer.text):
            self.reading.urls.append((url, host, at.layer.locate(start, end), at.layer.hidden))
        for secret in find_secrets(at.layer.text):
            self.reading.secrets.append(at.layer.text[secret.start : secret.end])
            at.report(rule_of(secret), secret.form, secret.start, secret.end)

    def _hidden_threat(self, layer: Layer, origin: Location, findings: int, asked: int, seen: int) -> None:
        """Report a decoded layer that holds what its author had reason to hide; the counts are what was reported before it."""
        reason = self._reason_to_hide(layer, findings, asked, seen)
        if reason:
            self.scan.find("SIGMA-OBF-006", reason, origin, layer.text[:80])
        elif any(_reaches_out(entry.what) for entry in self.reading.seen[seen:]):
            # What it does is weighed like any other code; that it is encoded is one fact more.
            self.scan.find("SIGMA-OBF-016", "code that reaches out", origin, layer.text[:80])

    def _reason_to_hide(self, layer: Layer, findings: int, asked: int, seen: int) -> str:
        orders = [order.finding for order in self.reading.asked[asked:]]
        for finding in [*self.reading.findings[findings:], *orders]:
            rule = self.scan.rules[finding.rule_id]
            strong = rule.severity in {Severity.HIGH, Severity.CRITICAL} or (
                rule.severity is Severity.MEDIUM and rule.kind is FactKind.INJECTION
            )
            if strong and finding.context == "use" and rule.id != "SIGMA-OBF-006":
                return rule.title
        urls = vocabulary.urls_in(layer.text)
        lone = urls[0] if len(urls) == 1 and urls[0][2] == layer.text.strip() else None
        if lone is not None and vocabulary.classify_host(lone[3]) not in {HostClass.LOCAL, HostClass.KNOWN}:
            return "address"
        return "flow" if any(attacks(entry.what) for entry in self.reading.seen[seen:]) else ""


def attacks(what: Capability | Flow) -> bool:
    """Whether a flow is one that nobody encodes for an honest reason."""
    if not isinstance(what, Flow):
        return False
    if what.sink in {Sink.SEND, Sink.SEND_HEADER}:
        return what.source in _TAKEN
    return what.sink in {Sink.NAME_LOOKUP, Sink.AUTOSTART} or (
        what.sink is Sink.EXECUTE and what.source in {Source.REMOTE, Source.DECODED}
    )


def _reaches_out(what: Capability | Flow) -> bool:
    return what.sink in _REACHING_SINKS if isinstance(what, Flow) else what.ability in _REACHING_ABILITIES
