"""What a layer hides in an encoding or in invisible characters, each piece read again as a layer of its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import re2

from sigma_core.sandbox import ciphers, encodings, fragments, spellings, unicode_forms
from sigma_core.sandbox.kinds import guess_text_kind
from sigma_core.sandbox.layers import FileKind, Layer
from sigma_core.sandbox.pattern_reading import injects
from sigma_core.sandbox.scan import FileScan, LayerScan

_MAX_REPORTED = 20
_MAX_HIDDEN_TEXTS = 8
_GREEK = re2.compile(r"\p{Greek}")
"""Letters of formulas and of names in the sciences, which stand among Latin ones by right."""
_SHORTEST = 20
"""Characters below which nothing encoded says anything."""
_MOVED = ("rot", "atbash", "mirror")
_PROSE = frozenset({FileKind.MARKDOWN, FileKind.TEXT, FileKind.HTML, FileKind.JSON, FileKind.YAML})
_ROTATABLE = frozenset(
    {
        FileKind.MARKDOWN,
        FileKind.TEXT,
        FileKind.PYTHON,
        FileKind.SHELL,
        FileKind.JAVASCRIPT,
        FileKind.JSON,
        FileKind.YAML,
    }
)


def undo_unicode(scan: FileScan, layer: Layer) -> Layer:
    """``layer`` without the tricks that make characters read otherwise than they look; each trick is reported, each hidden text read."""
    forms = unicode_forms.read_forms(layer.text)
    if forms.plain is layer.text and not forms.hidden_texts:
        return layer
    at = LayerScan(scan, layer)
    for start, end in forms.invisible[:_MAX_REPORTED]:
        at.report("SIGMA-OBF-001", "zero-width", start, end)
    for start, end in forms.direction[:_MAX_REPORTED]:
        at.report("SIGMA-OBF-003", "bidi", start, end)
    routed = _routing_text_end(layer)
    for start, end, plain in forms.look_alike[:_MAX_REPORTED]:
        imitates = start < routed and not _GREEK.search(layer.text[start:end])
        at.report("SIGMA-OBF-018" if imitates else "SIGMA-OBF-004", plain, start, end)
    for start, end, plain in forms.compatibility[:_MAX_REPORTED]:
        at.report("SIGMA-OBF-005", plain, start, end)
    for start, end, step, text in forms.hidden_texts[:_MAX_HIDDEN_TEXTS]:
        at.report("SIGMA-OBF-002", step, start, end)
        if text and layer.depth < scan.budgets.max_layer_depth:
            scan.read_layer(layer.child(step, text, guess_text_kind(text), start, end), True)
    if forms.plain is layer.text:
        return layer
    if not layer.depth:
        scan.reading.text = forms.plain
    return replace(layer, text=forms.plain, path=f"{layer.path}/unicode".strip("/"))


def _routing_text_end(layer: Layer) -> int:
    """Where a skill's front matter ends: agents choose skills by the words in it."""
    if layer.depth or not layer.file.endswith("SKILL.md") or not layer.text.startswith("---"):
        return 0
    return layer.text.find("\n---", 3)


def read_encoded(at: LayerScan) -> None:
    """Read every encoded, rotated, mirrored and oddly spelled piece of the layer, and keep fragments that other files may complete."""
    layer = at.layer
    if len(layer.text) < _SHORTEST:
        return
    at.scan.meter.spend(len(layer.text))
    for piece in encodings.find_encoded(layer.text):
        _read_piece(at, piece)
    if layer.depth == 0:
        for piece in fragments.joined_pieces(layer.text):
            _read_piece(at, piece)
        for start, end, text in fragments.labelled_parts(layer.text):
            at.descend("joined-parts", text, guess_text_kind(text), start, end)
        for start, end, token in fragments.lone_fragments(layer.text):
            at.scan.reading.fragments.append((token, layer.locate(start, end)))
    if layer.kind in _ROTATABLE and not any(name in layer.path for name in _MOVED):
        _read_moved_letters(at)
    if layer.kind in _PROSE:
        for start, end, plainly in spellings.respelled(layer.text):
            if not at.is_warned_of(start, end) and injects(at, plainly) and not injects(at, layer.text[start:end]):
                at.report("SIGMA-OBF-015", plainly.strip()[:80], start, end)
                at.descend("spelling", plainly, FileKind.TEXT, start, end)


def _read_piece(at: LayerScan, piece: encodings.Decoded) -> None:
    shown = at.is_shown(piece.start)
    at.report("SIGMA-OBF-013", piece.step, piece.start, piece.end, "mention" if shown else "use")
    if shown:
        return
    text = encodings.readable(piece.data)
    if text is None:
        at.descend_bytes(piece.step, piece.data, piece.start, piece.end)
    else:
        at.descend(piece.step, text, guess_text_kind(text), piece.start, piece.end)


def _read_moved_letters(at: LayerScan) -> None:
    text = at.layer.text
    for name, plainly in ciphers.moved_letters(text):
        at.report("SIGMA-OBF-011", name, 0, min(80, len(text)))
        at.descend(name, plainly, FileKind.TEXT, 0, len(text))
    for start, end, forwards in islice(ciphers.mirrored_lines(text), _MAX_HIDDEN_TEXTS):
        at.report("SIGMA-OBF-011", "mirrored", start, end)
        at.descend("mirror", forwards, guess_text_kind(forwards), start, end)
