"""Jupyter notebooks (nbformat 4): each cell and the words of its outputs as layers, the metadata as data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sigma_core.sandbox.data_reading import read_data
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.pattern_reading import read_prose
from sigma_core.sandbox.scan import LayerScan

_OUTPUT_KINDS = {
    "text/html": FileKind.HTML,
    "image/svg+xml": FileKind.HTML,
    "text/markdown": FileKind.MARKDOWN,
    "application/javascript": FileKind.JAVASCRIPT,
    "text/plain": FileKind.TEXT,
}
_MAX_OUTPUT = 65_536
_LINE_MAGICS = ("%", "!")
_CELL_LANGUAGES = {
    "bash": FileKind.SHELL,
    "sh": FileKind.SHELL,
    "script": FileKind.SHELL,
    "javascript": FileKind.JAVASCRIPT,
    "js": FileKind.JAVASCRIPT,
    "html": FileKind.HTML,
    "markdown": FileKind.MARKDOWN,
}


def read_notebook(at: LayerScan) -> None:
    """Read cells, outputs and metadata; what is no notebook is read as data."""
    try:
        notebook = json.loads(at.layer.text)
        cells = notebook.get("cells", [])
    except (ValueError, AttributeError, RecursionError):
        read_data(at)
        return
    if not isinstance(cells, list):
        return
    bound = at.scan.budgets.max_layers_per_file // 2
    end = min(len(at.layer.text), 1)
    outputs: dict[FileKind, list[str]] = {}
    for cell in cells[:bound]:
        if not isinstance(cell, dict):
            continue
        for step, kind, text in _cell_layers(cell):
            at.descend(step, text, kind, 0, end, hidden=False)
        for kind, text in _outputs(cell):
            outputs.setdefault(kind, []).append(text[:_MAX_OUTPUT])
    for kind, texts in outputs.items():
        at.descend("outputs", "\n\n".join(texts), kind, 0, end, hidden=False)
    if len(cells) > bound:
        at.scan.bound("notebook cells", at.layer.locate(0, end))
    metadata = [notebook.get("metadata"), *(cell.get("metadata") for cell in cells[:bound] if isinstance(cell, dict))]
    words = "\n".join(word for entry in metadata for word in _strings(entry, 0))
    if words:
        read_prose(at, 0, words[:_MAX_OUTPUT], "prose", False)


def _text(value: Any) -> str:
    return "".join(part for part in value if isinstance(part, str)) if isinstance(value, list) else str(value or "")


def _cell_layers(cell: dict[str, Any]) -> Iterator[tuple[str, FileKind, str]]:
    text = _text(cell.get("source"))
    if not text.strip():
        return
    if cell.get("cell_type") != "code":
        yield "cell", FileKind.MARKDOWN, text
        return
    first, _, rest = text.lstrip().partition("\n")
    if first.startswith("%%"):
        words = first[2:].split()
        kind = _CELL_LANGUAGES.get(words[0]) if words else None
        if kind is not None:
            yield "cell", kind, rest
            return
        text = rest
    lines = text.split("\n")
    commands = [line.strip()[1:].strip() for line in lines if line.strip().startswith("!")]
    commands += [line.strip()[len("%system ") :] for line in lines if line.strip().startswith("%system ")]
    # A magic is no Python: its line stays, empty, so that the others keep their numbers.
    yield "cell", FileKind.PYTHON, "\n".join("" if line.strip().startswith(_LINE_MAGICS) else line for line in lines)
    if commands:
        yield "cell-shell", FileKind.SHELL, "\n".join(commands)


def _outputs(cell: dict[str, Any]) -> Iterator[tuple[FileKind, str]]:
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        if "text" in output:
            yield FileKind.TEXT, _text(output["text"])
        data = output.get("data")
        if isinstance(data, dict):
            yield from ((kind, _text(data[mime])) for mime, kind in _OUTPUT_KINDS.items() if mime in data)


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, dict):
        for item in value.values():
            yield from _strings(item, depth + 1)
    elif depth < 8 and isinstance(value, list):
        for item in value:
            yield from _strings(item, depth + 1)
