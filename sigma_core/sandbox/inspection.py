"""One file read to the end: its layers, each by the analysers of its kind, down to a bounded depth; and what they report, as plain findings.

Whether a finding was shown or meant (``mention`` or ``use``) is decided here, where its surroundings are known; what it amounts to in this package is
decided in `sigma_core.sandbox.judgement`.
"""

from __future__ import annotations

import io
import json
import textwrap
import zipfile

import re2

from sigma_core.policy import SandboxBudgets
from sigma_core.sandbox import encodings, unicode_forms, vocabulary
from sigma_core.sandbox.budget import BudgetExhausted, WorkMeter
from sigma_core.sandbox.facts import FactKind, Location, Severity
from sigma_core.sandbox.javascript_code import read_javascript
from sigma_core.sandbox.kinds import guess_text_kind, kind_by_magic, kind_by_name, kind_of_language, kind_of_text_file
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.markdown import Part, Segment, split_markdown
from sigma_core.sandbox.observations import Ability, Capability, Flow, Observations
from sigma_core.sandbox.python_code import read_python
from sigma_core.sandbox.readings import Finding, Reading, Seen
from sigma_core.sandbox.rules import Possible, RuleBook
from sigma_core.sandbox.secrets import find_secrets
from sigma_core.sandbox.shell_code import read_shell
from sigma_core.sandbox.use_or_mention import code_context, command_context, prose_context
from sigma_core.sandbox.vocabulary import HostClass
from sigma_core.submissions.package import PackageFile

ASSET_KINDS = frozenset({FileKind.IMAGE, FileKind.FONT, FileKind.MEDIA, FileKind.DOCUMENT})
_AGENT_DIRECTED = frozenset(
    {
        "SIGMA-INJ-001",
        "SIGMA-INJ-003",
        "SIGMA-INJ-005",
        "SIGMA-INJ-004",
        "SIGMA-INJ-008",
        "SIGMA-INJ-010",
        "SIGMA-INJ-011",
    }
)
_SPREADABLE = frozenset(
    {
        "SIGMA-INJ-003",
        "SIGMA-INJ-005",
        "SIGMA-INJ-006",
        "SIGMA-INJ-013",
        "SIGMA-INJ-014",
        "SIGMA-INJ-020",
        "SIGMA-INJ-021",
    }
)
_WHITE = re2.compile(r"\n[ \t>]*(?:[-*+]\s|\d+[.)]\s|\||$)")
_PLAIN_FENCES = frozenset({"text", "txt", "plain", "plaintext", "markdown", "md", "dockerfile", "makefile"})
_SCRIPT_TAG = re2.compile(r"(?is)<script\b[^>]{0,300}>(.*?)</script>")
_HTML_COMMENT = re2.compile(r"(?s)<!--(.*?)-->")
_COMMAND_LINE = re2.compile(
    r"(?m)^[ \t]*(?:[-*+]\s+|\d+[.)]\s+)?`{0,2}(?:\$\s+|>\s+)?(\(?(?:sudo\s+)?(?:curl|wget|bash|sh|python3?|node|eval|nc|base64|echo|cat|chmod|printf|dig|tar|export|env|crontab|iex|powershell|rm)\s+\S[^\n`]*)"
)
_SPACED = str.maketrans("\n\r\t", "   ")


class FileInspector:
    """Reads one file into a `Reading`. Bounds and faults end in `Reading.incidents`, never in an exception."""

    def __init__(self, file: PackageFile, rules: RuleBook, budgets: SandboxBudgets, meter: WorkMeter) -> None:
        self.file = file
        self.rules = rules
        self.budgets = budgets
        self.meter = meter
        self.reading = Reading(file.path)
        self._embedded: set[tuple[str, str]] = set()
        self._shown: dict[int, list[tuple[int, int]]] = {}
        self._possibles: dict[int, tuple[Layer, Possible]] = {}

    def read(self) -> Reading:
        """Inspect the file to the end or to a bound."""
        self.meter.start_file()
        try:
            self._read_bytes(self.file.content, "", None, 0)
        except BudgetExhausted as bound:
            self.reading.partial = bound.bound
            self.reading.incidents.append(("budget", bound.bound))
        return self.reading

    # -- bytes --------------------------------------------------------------------------------------------------------

    def _read_bytes(self, data: bytes, layer_path: str, origin: Location | None, depth: int) -> None:
        kind = kind_by_magic(data)
        name = layer_path.rpartition("!")[2] if layer_path else self.file.path
        if not data:
            return
        if kind is None:
            text = self._text_of(data, layer_path, origin)
            if text is not None:
                text_kind = kind_of_text_file(name, text)
                if depth == 0:
                    self.reading.kind = text_kind
                    self.reading.text = text
                # An archive's members are packed, not disguised: a person who opens it sees them.
                self.inspect(
                    Layer(
                        self.file.path, text, text_kind, layer_path, origin, depth > 0 and "!" not in layer_path, depth
                    )
                )
                return
            kind = kind_by_name(name) or FileKind.BINARY
        if depth == 0:
            self.reading.kind = kind
        self.meter.spend(len(data))
        whole = Location(self.file.path, 1, 1, 0, len(data), layer_path) if origin is None else origin
        if kind is FileKind.EXECUTABLE:
            self._find("SIGMA-SUPPLY-005", name, whole, "")
        elif kind is FileKind.BYTECODE or name.endswith(".pyc"):
            self.reading.kind = FileKind.BYTECODE if depth == 0 else self.reading.kind
            self._find("SIGMA-SUPPLY-006", name, whole, "")
        elif kind is FileKind.ARCHIVE:
            self._archive(data, layer_path, whole, depth)
        elif kind in ASSET_KINDS:
            self._asset_tail(data, layer_path, whole, depth)

    def _text_of(self, data: bytes, layer_path: str, origin: Location | None) -> str | None:
        """The bytes as text, or None for binary. Encodings other than UTF-8 are noted."""
        for mark, encoding in (
            (b"\xef\xbb\xbf", "utf-8-sig"),
            (b"\xff\xfe\x00\x00", "utf-32"),
            (b"\xff\xfe", "utf-16"),
            (b"\xfe\xff", "utf-16"),
        ):
            if data.startswith(mark):
                text = data.decode(encoding, "replace")
                if not encoding.startswith("utf-8"):
                    self._find(
                        "SIGMA-OBF-007",
                        encoding,
                        origin or Location(self.file.path, 1, 1, 0, len(data), layer_path),
                        "",
                    )
                return text
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if text and "\x00" not in text:
            return text
        sample = data[:4_096]
        nulls = sample.count(0)
        if nulls * 5 > len(sample) * 2 and len(data) % 2 == 0:
            little = sample[1::2].count(0) >= sample[0::2].count(0)
            decoded = data.decode("utf-16-le" if little else "utf-16-be", "replace")
            if (
                sum(1 for character in decoded[:500] if character.isprintable() or character.isspace()) * 10
                >= min(500, len(decoded)) * 9
            ):
                self._find(
                    "SIGMA-OBF-007",
                    "utf-16 without mark",
                    origin or Location(self.file.path, 1, 1, 0, len(data), layer_path),
                    "",
                )
                return decoded
        controls = sum(1 for byte in sample if byte < 9 or 13 < byte < 32)
        if controls * 50 > len(sample):
            return None
        return data.decode("utf-8", "replace")

    def _archive(self, data: bytes, layer_path: str, whole: Location, depth: int) -> None:
        if depth >= self.budgets.max_layer_depth:
            self._bound("max_layer_depth", whole)
            return
        unpacked = encodings.bounded_decompress(data)
        if unpacked is not None:
            self._read_bytes(unpacked[1], f"{layer_path}/{unpacked[0]}".strip("/"), whole, depth + 1)
            if len(unpacked[1]) >= encodings.MAX_DECODED:
                self._bound("decoded bytes", whole)
            return
        if not data.startswith(b"PK"):
            self.reading.incidents.append(("archive", "form not opened"))
            self.reading.partial = "archive_not_opened"
            return
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = sorted(
                    (info for info in archive.infolist() if not info.is_dir()), key=lambda info: info.filename
                )
                for info in members[: self.budgets.max_layers_per_file]:
                    if info.flag_bits & 1:
                        self.reading.incidents.append(("archive", "encrypted member"))
                        self.reading.partial = "encrypted_member"
                        continue
                    with archive.open(info) as stream:
                        content = stream.read(encodings.MAX_DECODED)
                    self._count_layer(whole)
                    self._read_bytes(content, f"{layer_path}/zip!{info.filename}".strip("/"), whole, depth + 1)
                if len(members) > self.budgets.max_layers_per_file:
                    self._bound("max_layers_per_file", whole)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
            self.reading.incidents.append(("archive", type(error).__name__))
            self.reading.partial = "archive_not_opened"

    def _asset_tail(self, data: bytes, layer_path: str, whole: Location, depth: int) -> None:
        """What follows the end of a picture is not picture."""
        end = {b"\x89PNG": (b"IEND\xaeB`\x82", 8), b"\xff\xd8\xff": (b"\xff\xd9", 2), b"GIF8": (b"\x00;", 2)}.get(
            data[:4], {b"\xff\xd8\xff": (b"\xff\xd9", 2)}.get(data[:3], (b"", 0))
        )
        position = data.rfind(end[0]) if end[0] else -1
        tail = data[position + end[1] :] if position >= 0 else b""
        text = encodings.readable(tail) if len(tail) >= 16 else None
        if text and depth < self.budgets.max_layer_depth:
            self.inspect(
                Layer(
                    self.file.path, text, guess_text_kind(text), f"{layer_path}/tail".strip("/"), whole, True, depth + 1
                )
            )

    # -- text ---------------------------------------------------------------------------------------------------------

    def inspect(self, layer: Layer, *, hidden_check: bool = True) -> None:
        """Read one text layer by the analysers of its kind, then every layer inside it."""
        self._count_layer(layer.origin or Location(self.file.path, 1, 1, 0, 0))
        self.meter.spend(len(layer.text))
        before = len(self.reading.findings), len(self.reading.seen)
        layer = self._unicode(layer)
        reader = {
            FileKind.MARKDOWN: self._markdown,
            FileKind.TEXT: self._markdown,
            FileKind.PYTHON: self._python,
            FileKind.SHELL: self._shell,
            FileKind.JAVASCRIPT: self._javascript,
            FileKind.POWERSHELL: self._commands,
            FileKind.NOTEBOOK: self._notebook,
            FileKind.HTML: self._html,
        }.get(layer.kind, self._config)
        reader(layer)
        for start, end, url, host in vocabulary.urls_in(layer.text):
            self.reading.urls.append((url, host, layer.locate(start, end), layer.hidden))
        for secret in find_secrets(layer.text):
            rule = (
                "SIGMA-SECRET-003"
                if not secret.live
                else "SIGMA-SECRET-002"
                if secret.form in {"pem", "wallet"}
                else "SIGMA-SECRET-004"
                if secret.form == "assigned"
                else "SIGMA-SECRET-001"
            )
            self._report(rule, secret.form, layer, secret.start, secret.end, "use")
        self._decode(layer)
        if layer.hidden and hidden_check and layer.origin is not None:
            self._hidden_threat(layer, before)

    def _hidden_threat(self, layer: Layer, before: tuple[int, int]) -> None:
        """Whether a decoded layer holds what its author had reason to hide."""
        for finding in self.reading.findings[before[0] :]:
            rule = self.rules[finding.rule_id]
            strong = {Severity.HIGH, Severity.CRITICAL} | (
                {Severity.MEDIUM} if rule.kind is FactKind.INJECTION else set()
            )
            if rule.severity in strong and finding.context == "use" and rule.id != "SIGMA-OBF-006":
                self._find("SIGMA-OBF-006", rule.title, layer.origin or finding.location, layer.text[:80])
                return
        urls = vocabulary.urls_in(layer.text)
        if (
            len(urls) == 1
            and urls[0][2] == layer.text.strip()
            and vocabulary.classify_host(urls[0][3]) not in {HostClass.LOCAL, HostClass.KNOWN}
        ):
            self._find("SIGMA-OBF-006", "address", layer.origin or Location(layer.file, 1, 1, 0, 0), layer.text[:80])
            return
        for seen in self.reading.seen[before[1] :]:
            flow = isinstance(seen.what, Flow) and seen.what.sink.value in {
                "send",
                "execute",
                "name_lookup",
                "agent_file",
                "autostart",
            }
            net = isinstance(seen.what, Capability) and seen.what.ability in {
                Ability.NETWORK,
                Ability.SECRET_READ,
                Ability.PERSISTENCE,
                Ability.AGENT_CONFIG,
            }
            if flow or net:
                self._find(
                    "SIGMA-OBF-006",
                    "code that reaches out" if net else "flow",
                    layer.origin or seen.location,
                    layer.text[:80],
                )
                return

    def _count_layer(self, at: Location) -> None:
        self.reading.layers += 1
        if self.reading.layers > self.budgets.max_layers_per_file:
            self._bound("max_layers_per_file", at)
            raise BudgetExhausted("max_layers_per_file")

    def _bound(self, name: str, at: Location) -> None:
        self._find("SIGMA-OBF-008", name, at, "")
        self.reading.partial = name
        self.reading.incidents.append(("bound", name))

    def _unicode(self, layer: Layer) -> Layer:
        forms = unicode_forms.read_forms(layer.text)
        if forms.plain is layer.text:
            return layer
        for start, end in forms.invisible[:20]:
            self._report("SIGMA-OBF-001", "zero-width", layer, start, end, "use")
        for start, end in forms.direction[:20]:
            self._report("SIGMA-OBF-003", "bidi", layer, start, end, "use")
        for start, end, plain in forms.look_alike[:20]:
            self._report("SIGMA-OBF-004", plain, layer, start, end, "use")
        for start, end, plain in forms.compatibility[:20]:
            self._report("SIGMA-OBF-005", plain, layer, start, end, "use")
        for start, end, step, text in forms.hidden_texts[:8]:
            self._report("SIGMA-OBF-002", step, layer, start, end, "use")
            if text and layer.depth < self.budgets.max_layer_depth:
                self.inspect(layer.child(step, text, guess_text_kind(text), start, end))
        disguised = bool(forms.invisible or forms.look_alike or forms.compatibility)
        plain_path = f"{layer.path}/unicode".strip("/") if forms.plain != layer.text else layer.path
        undone = Layer(
            layer.file,
            forms.plain,
            layer.kind,
            plain_path if disguised else layer.path,
            layer.origin,
            layer.hidden,
            layer.depth,
        )
        if disguised:
            self.reading.text = self.reading.text if layer.depth else forms.plain
        return undone

    def _decode(self, layer: Layer) -> None:
        if len(layer.text) < 20:
            return
        self.meter.spend(len(layer.text))
        for piece in encodings.find_encoded(layer.text):
            text = encodings.readable(piece.data)
            if text is None:
                continue
            shown = any(start <= piece.start < end for start, end in self._shown.get(id(layer), ()))
            self._report("SIGMA-OBF-013", piece.step, layer, piece.start, piece.end, "mention" if shown else "use")
            if shown:
                continue
            self._descend(layer, piece.step, text, guess_text_kind(text), piece.start, piece.end)
        rotated = (
            encodings.rot13_text(layer.text)
            if layer.kind
            in {
                FileKind.MARKDOWN,
                FileKind.TEXT,
                FileKind.PYTHON,
                FileKind.SHELL,
                FileKind.JAVASCRIPT,
                FileKind.JSON,
                FileKind.YAML,
            }
            and "rot13" not in layer.path
            else None
        )
        if rotated is not None:
            self._report("SIGMA-OBF-011", "rot13", layer, 0, min(80, len(layer.text)), "use")
            self._descend(layer, "rot13", rotated, FileKind.TEXT, 0, len(layer.text))
        if "mirror" not in layer.path:
            for start, end, forwards in list(encodings.mirrored_lines(layer.text))[:8]:
                self._report("SIGMA-OBF-011", "mirrored", layer, start, end, "use")
                self._descend(layer, "mirror", forwards, guess_text_kind(forwards), start, end)
        for start, end, token in encodings.lone_fragments(layer.text) if layer.depth == 0 else ():
            self.reading.fragments.append((token, layer.locate(start, end)))

    def _descend(self, layer: Layer, step: str, text: str, kind: FileKind, start: int, end: int) -> None:
        key = (kind.value, text)
        if key in self._embedded or text == layer.text:
            return
        self._embedded.add(key)
        if layer.depth >= self.budgets.max_layer_depth:
            self._bound("max_layer_depth", layer.locate(start, end))
            return
        self.inspect(layer.child(step, text, kind, start, end))

    # -- kinds --------------------------------------------------------------------------------------------------------

    def _markdown(self, layer: Layer) -> None:
        segments = split_markdown(layer.text, named_by_title=layer.file.endswith("SKILL.md") or layer.depth > 0)
        self._shown[id(layer)] = [
            (segment.start, segment.end) for segment in segments if segment.cautionary and segment.part is Part.FENCE
        ]
        for at, segment in enumerate(segments):
            if segment.part in {Part.PROSE, Part.TABLE, Part.HEADING, Part.FRONT_MATTER}:
                self._prose(layer, segment.start, segment.text, "prose", segment.cautionary)
                if segment.text.rstrip().endswith((":", "：")):
                    # A sentence that ends in a colon goes on in the next block.
                    follow = next(
                        (
                            other
                            for other in segments[at + 1 : at + 6]
                            if other.start >= segment.end
                            and (
                                other.part in {Part.PROSE, Part.TABLE}
                                or (other.part is Part.FENCE and len(other.text) < 200)
                            )
                        ),
                        None,
                    )
                    if follow is not None and follow.end - segment.start < 2_000:
                        self._joined_prose(
                            layer, segment.start, layer.text[segment.start : follow.end], segment.cautionary
                        )
                if segment.part is Part.FRONT_MATTER:
                    self._patterns("config", layer, segment.start, segment.text, False)
                else:
                    for match in _COMMAND_LINE.finditer(segment.text):
                        self._script(
                            layer,
                            FileKind.SHELL,
                            match.group(1),
                            segment.start + match.start(1),
                            command_context(layer, segment.start + match.start(1), segment.cautionary),
                            in_prose=True,
                        )
                    if guess_text_kind(segment.text) is FileKind.PYTHON and not segment.cautionary:
                        self._script(
                            layer, FileKind.PYTHON, textwrap.dedent(segment.text), segment.start, "use", in_prose=True
                        )
            elif segment.part is Part.COMMENT:
                self._prose(layer, segment.start, segment.text, "comment", False, directed=True)
                self._prose(layer, segment.start, segment.text, "prose", False, directed=True)
            elif segment.part in {Part.LINK, Part.IMAGE}:
                self._patterns(
                    "link", layer, segment.start, layer.text[segment.start : segment.end], segment.cautionary
                )
            elif segment.part is Part.INLINE_CODE:
                if guess_text_kind(segment.text) is FileKind.SHELL:
                    self._script(
                        layer,
                        FileKind.SHELL,
                        segment.text.translate(_SPACED),
                        segment.start,
                        "mention" if segment.cautionary else "use",
                        in_prose=True,
                    )
            elif segment.part is Part.FENCE:
                self._fence(layer, segment)

    def _possible(self, layer: Layer) -> Possible:
        """The rule patterns that this layer's text leaves possible; kept with the layer, so that its id stays its own."""
        kept = self._possibles.get(id(layer))
        if kept is None:
            kept = self._possibles[id(layer)] = (layer, self.rules.possible(layer.text))
        return kept[1]

    def _fence(self, layer: Layer, segment: Segment) -> None:
        kind = kind_of_language(segment.language) or (
            guess_text_kind(segment.text) if not segment.language else FileKind.TEXT
        )
        context = "mention" if segment.cautionary else "use"
        if kind in {FileKind.SHELL, FileKind.PYTHON, FileKind.JAVASCRIPT}:
            text = segment.text
            if kind is FileKind.SHELL and "\n$ " in "\n" + text:
                text = "\n".join("  " + line[2:] if line.startswith("$ ") else line for line in text.split("\n"))
            self._script(layer, kind, text, segment.start, context, in_prose=True)
        elif kind is FileKind.POWERSHELL:
            self._patterns("command", layer, segment.start, segment.text, segment.cautionary)
        elif kind in {FileKind.JSON, FileKind.YAML, FileKind.TOML}:
            self._patterns("config", layer, segment.start, segment.text, segment.cautionary)
            self._patterns("command", layer, segment.start, segment.text, segment.cautionary)
        else:
            self._prose(layer, segment.start, segment.text, "prose", segment.cautionary)
            # A command inside a listing of another language is a string there.
            other_language = bool(segment.language) and segment.language.split()[0].lower() not in _PLAIN_FENCES
            self._patterns("command", layer, segment.start, segment.text, segment.cautionary or other_language)

    def _prose(
        self, layer: Layer, offset: int, text: str, surface: str, cautionary: bool, *, directed: bool = False
    ) -> None:
        """Prose rules on a paragraph whose wrapped lines are joined; list items and table rows stay apart."""
        self.meter.spend(len(text))
        breaks = [match.start() for match in _WHITE.finditer(text)]
        joined = list(text.translate(_SPACED))
        for at in breaks:
            joined[at] = "\n"
        flat = "".join(joined)
        for rule, start, end in self._possible(layer).matches(surface, flat):
            context = "use" if layer.hidden else prose_context(flat, start, end, cautionary and not directed)
            self._report(rule.id, flat[start:end][:120], layer, offset + start, offset + end, context)
        if len(breaks) > 1 and surface == "prose":
            self._joined_prose(layer, offset, text, cautionary)

    def _joined_prose(self, layer: Layer, offset: int, text: str, cautionary: bool) -> None:
        """Instructions that one list, table or colon spreads over lines are one instruction."""
        whole = text.translate(_SPACED)
        for rule, start, end in self._possible(layer).matches("prose", whole):
            if rule.id in _SPREADABLE and "\n" in text[start:end]:
                context = "use" if layer.hidden else prose_context(whole, start, end, cautionary)
                self._report(rule.id, whole[start:end][:120], layer, offset + start, offset + end, context)

    def _patterns(self, surface: str, layer: Layer, offset: int, text: str, cautionary: bool) -> None:
        self.meter.spend(len(text))
        for rule, start, end in self._possible(layer).matches(surface, text):
            line_start = max(text.rfind("\n", 0, start) + 1, start - 300)
            context = "use" if layer.hidden else code_context(text[line_start:start], cautionary)
            self._report(rule.id, text[start:end][:120], layer, offset + start, offset + end, context)

    def _script(
        self, layer: Layer, kind: FileKind, text: str, offset: int, context: str, *, in_prose: bool = False
    ) -> None:
        """Code of ``kind`` at ``offset`` of the layer."""
        self.meter.spend(2 * len(text))
        try:
            observed = {FileKind.SHELL: read_shell, FileKind.PYTHON: read_python, FileKind.JAVASCRIPT: read_javascript}[
                kind
            ](text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if not in_prose and layer.depth == 0:
                self.reading.incidents.append((f"{kind.value} analyser", type(error).__name__))
                self.reading.partial = f"{kind.value}_not_parsed"
            # Not the language that it claims to be: read the commands in it.
            for match in _COMMAND_LINE.finditer(text):
                self._observed(read_shell(match.group(1)), layer, offset + match.start(1), context, in_prose)
            self._patterns("command", layer, offset, text, context == "mention")
            observed = Observations()
        self._observed(observed, layer, offset, context, in_prose)
        self._patterns("command" if kind is FileKind.SHELL else "code", layer, offset, text, context == "mention")

    def _observed(self, observed: Observations, layer: Layer, offset: int, context: str, in_prose: bool) -> None:
        for hit in observed.hits:
            self._report(hit.rule_id, hit.subject, layer, offset + hit.start, offset + hit.end, context)
        done: list[Capability | Flow] = [*observed.capabilities, *observed.flows]
        for what in done:
            at = layer.locate(offset + what.start, offset + what.end)
            self.reading.seen.append(Seen(what, at, layer.around(offset + what.start), context, layer.hidden, in_prose))
        for embedded in observed.embedded:
            start, end = offset + embedded.start, offset + embedded.end
            if embedded.language == "prose":
                for rule, hit_start, hit_end in self.rules.possible(embedded.text).matches(
                    "prose", embedded.text.translate(_SPACED)
                ):
                    if rule.id in _AGENT_DIRECTED:
                        flat = embedded.text.translate(_SPACED)
                        self._report(
                            rule.id,
                            flat[hit_start:hit_end][:120],
                            layer,
                            start,
                            end,
                            prose_context(flat, hit_start, hit_end, False),
                        )
                continue
            if embedded.text == layer.text or context == "mention":
                continue
            kind = {
                "shell": FileKind.SHELL,
                "python": FileKind.PYTHON,
                "javascript": FileKind.JAVASCRIPT,
                "markdown": FileKind.MARKDOWN,
            }.get(embedded.language)
            if kind is None:
                kind = guess_text_kind(embedded.text)
                if kind is FileKind.TEXT and not encodings.speaks(embedded.text):
                    continue
            plain = embedded.step in {"command", "evaluated", "written-file", "agent-file", "crontab", "piped"}
            self._embed(layer, embedded.step, embedded.text, kind, start, end, hidden=not plain or layer.hidden)

    def _embed(self, layer: Layer, step: str, text: str, kind: FileKind, start: int, end: int, *, hidden: bool) -> None:
        key = (kind.value, text)
        if key in self._embedded:
            return
        self._embedded.add(key)
        if layer.depth >= self.budgets.max_layer_depth:
            self._bound("max_layer_depth", layer.locate(start, end))
            return
        if self.reading.layers >= self.budgets.max_layers_per_file - 1 and not hidden:
            return
        self.inspect(
            layer.child(step, text, kind, start, end, hidden=hidden), hidden_check=step not in {"concatenation"}
        )

    def _python(self, layer: Layer) -> None:
        self._script(layer, FileKind.PYTHON, layer.text, 0, "use")
        if layer.file.endswith(".pth") and not layer.path:
            for at, line in enumerate(layer.text.split("\n")):
                if line.startswith(("import ", "import\t")):
                    self._find(
                        "SIGMA-SUPPLY-008", line[:80], Location(layer.file, at + 1, at + 1, 0, len(layer.text)), line
                    )

    def _shell(self, layer: Layer) -> None:
        self._script(layer, FileKind.SHELL, layer.text, 0, "use")

    def _javascript(self, layer: Layer) -> None:
        self._script(layer, FileKind.JAVASCRIPT, layer.text, 0, "use")

    def _commands(self, layer: Layer) -> None:
        self._patterns("command", layer, 0, layer.text, False)

    def _config(self, layer: Layer) -> None:
        self._patterns("config", layer, 0, layer.text, False)
        self._patterns("command", layer, 0, layer.text, False)
        self._prose(layer, 0, layer.text, "prose", False)

    def _html(self, layer: Layer) -> None:
        for match in _HTML_COMMENT.finditer(layer.text):
            self._prose(layer, match.start(), match.group(), "comment", False, directed=True)
        for match in _SCRIPT_TAG.finditer(layer.text):
            if match.group(1).strip():
                self._script(layer, FileKind.JAVASCRIPT, match.group(1), match.start(1), "use")
        self._patterns("link", layer, 0, layer.text, False)

    def _notebook(self, layer: Layer) -> None:
        try:
            cells = json.loads(layer.text).get("cells", [])
        except (ValueError, AttributeError, RecursionError):
            self._config(layer)
            return
        for cell in cells[: self.budgets.max_layers_per_file] if isinstance(cells, list) else ():
            source = cell.get("source", "") if isinstance(cell, dict) else ""
            text = (
                "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else str(source)
            )
            kind = FileKind.PYTHON if isinstance(cell, dict) and cell.get("cell_type") == "code" else FileKind.MARKDOWN
            if text.strip():
                self._embed(layer, "cell", text, kind, 0, min(len(layer.text), 1), hidden=False)

    # -- reports ------------------------------------------------------------------------------------------------------

    def _report(self, rule_id: str, subject: str, layer: Layer, start: int, end: int, context: str) -> None:
        self.reading.findings.append(
            Finding(rule_id, subject, layer.locate(start, end), layer.around(start), context, layer.hidden)
        )

    def _find(self, rule_id: str, subject: str, at: Location, line: str) -> None:
        self.reading.findings.append(Finding(rule_id, subject, at, line, "use", False))
