"""Ways to carry a package's script or its instructions in another file: inside archives, documents, pictures, compiled code, or encoded on disk."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable

from carriers import chunk, compiled, picture, tar_of, zip_of
from packages_of_ours import Files

Change = Callable[[Files], Files | None]


def _each(suffix: str, change: Callable[[str, str], Files]) -> Change:
    """Replace every file with ``suffix`` by what ``change(path, text)`` gives."""

    def changed(files: Files) -> Files | None:
        found = {
            path: text
            for path, text in files.items()
            if path.endswith(suffix) and isinstance(text, str) and path != "SKILL.md"
        }
        if not found:
            return None
        rest: Files = {path: text for path, text in files.items() if path not in found}
        for path, text in found.items():
            rest |= change(path, text)
        return rest

    return changed


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _exec(expression: Callable[[bytes], str]) -> Change:
    return _each(".py", lambda path, text: {path: f"exec({expression(text.encode())})\n"})


def _told_elsewhere(carry: Callable[[str], Files]) -> Change:
    """The body of a SKILL.md without other files moves into a file that the body then only points at."""

    def changed(files: Files) -> Files | None:
        text = files["SKILL.md"]
        if set(files) != {"SKILL.md"} or not isinstance(text, str):
            return None
        head, mark, body = text.partition("\n# ")
        title, _, rest = body.partition("\n")
        return (
            {"SKILL.md": f"{head}{mark}{title}\n\nRead the notes beside this file and follow them.\n"}
            | carry(rest.strip())
            if mark
            else None
        )

    return changed


def _xor(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[at % len(key)] for at, byte in enumerate(data))


def _in_rows(data: bytes, width: int = 40) -> list[str]:
    code = _b64(data)
    return [code[at : at + width] for at in range(0, len(code), width)]


def _docx(text: str, run: str = "") -> bytes:
    words = text.replace("&", "&amp;").replace("<", "&lt;")
    paragraphs = "".join(f"<w:p><w:r><w:rPr>{run}</w:rPr><w:t>{line}</w:t></w:r></w:p>" for line in words.split("\n"))
    return zip_of(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": f"<w:document><w:body>{paragraphs}</w:body></w:document>",
        }
    )


def _pdf(text: str) -> bytes:
    lines = "".join(
        "(" + line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") + ") Tj T*\n"
        for line in text.split("\n")
    )
    stream = zlib.compress(("BT /F1 12 Tf\n" + lines + "ET").encode())
    return (
        b"%PDF-1.4\n1 0 obj << /Length "
        + str(len(stream)).encode()
        + b" /Filter /FlateDecode >>\nstream\n"
        + stream
        + b"\nendstream endobj\n%%EOF\n"
    )


CARRIED: dict[str, Change] = {
    "python exec of base85": _exec(lambda data: f"__import__('base64').b85decode({base64.b85encode(data)!r})"),
    "python exec of base32": _exec(lambda data: f"__import__('base64').b32decode({base64.b32encode(data)!r})"),
    "python exec of gzip": _exec(lambda data: f"__import__('gzip').decompress(__import__('base64').b64decode('{_b64(gzip.compress(data, mtime=0))}'))"),
    "python exec of bz2": _exec(lambda data: f"__import__('bz2').decompress(__import__('base64').b64decode('{_b64(bz2.compress(data))}'))"),
    "python exec of lzma": _exec(lambda data: f"__import__('lzma').decompress(bytes.fromhex('{lzma.compress(data).hex()}'))"),
    "python exec of base64 twice": _exec(lambda data: f"__import__('base64').b64decode(__import__('base64').b64decode('{_b64(_b64(data).encode())}'))"),
    "python exec of joined rows": _exec(lambda data: f"__import__('base64').b64decode(''.join({_in_rows(data)!r}))"),
    "python exec of adjacent rows": _exec(lambda data: "__import__('base64').b64decode(\n" + "\n".join(f"    '{row}'" for row in _in_rows(data)) + ")"),
    "python exec of xor": _exec(lambda data: f"bytes(b ^ 0x5a for b in bytes.fromhex('{_xor(data, b'Z').hex()}'))"),
    "python exec of xor with a key": _each(".py", lambda path, text: {path: f"k = b'night'\nd = __import__('base64').b64decode('{_b64(_xor(text.encode(), b'night'))}')\nexec(bytes(c ^ k[i % 5] for i, c in enumerate(d)))\n"}),
    "python exec of a data file": _each(".py", lambda path, text: {path: "import base64, pathlib\nexec(base64.b64decode(pathlib.Path(__file__).with_suffix('.dat').read_text()))\n", path.removesuffix(".py") + ".dat": _b64(text.encode()) + "\n"}),
    "python pieces in two files": _each(".py", lambda path, text: {path: "import base64\nfrom parts import ONE\nfrom rest import TWO\nexec(base64.b64decode(ONE + TWO))\n", "parts.py": f"ONE = '{_b64(text.encode())[: len(_b64(text.encode())) // 2]}'\n", "rest.py": f"TWO = '{_b64(text.encode())[len(_b64(text.encode())) // 2 :]}'\n"}),
    "python in a comment": _each(".py", lambda path, text: {path: "# " + _b64(text.encode()) + "\nimport base64\nexec(base64.b64decode(open(__file__).readline()[2:]))\n"}),
    "python compiled": _each(".py", lambda path, text: {path: f"import {path.rpartition('/')[2].removesuffix('.py')}_core\n", path.removesuffix(".py") + "_core.pyc": compiled(text)}),
    "python in a zip": _each(".py", lambda path, text: {path + ".zip": zip_of({"__main__.py": text})}),
    "python in a wheel": _each(".py", lambda path, text: {"dist/tool-1.0-py3-none-any.whl": zip_of({"tool/__init__.py": text, "tool-1.0.dist-info/METADATA": "Name: tool\n"})}),
    "python in a zip in a zip": _each(".py", lambda path, text: {"a.zip": zip_of({"b.zip": zip_of({"run.py": text})})}),
    "python in a picture's tail": _each(".py", lambda path, text: {path: f"exec(open('logo.png', 'rb').read()[{len(picture())}:])\n", "logo.png": picture() + text.encode()}),
    "python notebook command": _each(".py", lambda path, text: {"a.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["!echo start\n", *text.splitlines(keepends=True)], "outputs": []}]})}),
    "shell in a tar.gz": _each(".sh", lambda path, text: {path + ".tar.gz": tar_of({"run.sh": text.encode()}, "w:gz")}),
    "shell in a tar.bz2": _each(".sh", lambda path, text: {path + ".tar.bz2": tar_of({"run.sh": text.encode()}, "w:bz2")}),
    "shell in a tar.xz": _each(".sh", lambda path, text: {path + ".tar.xz": tar_of({"run.sh": text.encode()}, "w:xz")}),
    "shell in a zip": _each(".sh", lambda path, text: {path + ".zip": zip_of({"run.sh": text})}),
    "shell here-document of base64": _each(".sh", lambda path, text: {path: "base64 -d <<'EOF' | sh\n" + "\n".join(_in_rows(text.encode(), 60)) + "\nEOF\n"}),
    "shell printf of octal": _each(".sh", lambda path, text: {path: "printf '" + "".join(f"\\{byte:03o}" for byte in text.encode()) + "' | sh\n"}),
    "shell base32": _each(".sh", lambda path, text: {path: f"echo {base64.b32encode(text.encode()).decode()} | base32 -d | sh\n"}),
    "shell xz": _each(".sh", lambda path, text: {path: f"echo {_b64(lzma.compress(text.encode()))} | base64 -d | xz -d | sh\n"}),
    "javascript hex": _each(".js", lambda path, text: {path: f"eval(Buffer.from('{text.encode().hex()}', 'hex').toString())\n"}),
    "javascript joined": _each(".js", lambda path, text: {path: f"eval(Buffer.from({json.dumps(_in_rows(text.encode()))}.join(''), 'base64').toString())\n"}),
    "javascript unicode escapes": _each(".js", lambda path, text: {path: 'eval("' + "".join(f"\\u{ord(c):04x}" for c in text) + '")\n'}),
    "javascript percent": _each(".js", lambda path, text: {path: 'eval(decodeURIComponent("' + "".join(f"%{byte:02x}" for byte in text.encode()) + '"))\n'}),
    "instructions in a text file": _told_elsewhere(lambda text: {"NOTES.txt": text}),
    "instructions in html": _told_elsewhere(lambda text: {"notes.html": "<html><body><p>" + text.replace("&", "&amp;").replace("<", "&lt;") + "</p></body></html>"}),
    "instructions in svg": _told_elsewhere(lambda text: {"logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'><desc>" + text.replace("&", "&amp;").replace("<", "&lt;") + "</desc></svg>"}),
    "instructions in docx": _told_elsewhere(lambda text: {"notes.docx": _docx(text)}),
    "instructions hidden in docx": _told_elsewhere(lambda text: {"notes.docx": _docx(text, "<w:vanish/>")}),
    "instructions in pdf": _told_elsewhere(lambda text: {"notes.pdf": _pdf(text)}),
    "instructions in a picture": _told_elsewhere(lambda text: {"notes.png": picture(chunk(b"tEXt", b"Comment\0" + text.encode()))}),
    "instructions packed in a picture": _told_elsewhere(lambda text: {"notes.png": picture(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text.encode())))}),
    "instructions in a notebook": _told_elsewhere(lambda text: {"notes.ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": text}]})}),
    "instructions in a notebook's output": _told_elsewhere(lambda text: {"notes.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": "1", "outputs": [{"data": {"text/plain": text}}]}]})}),
    "instructions in json": _told_elsewhere(lambda text: {"tools.json": json.dumps({"tools": [{"name": "notes", "description": text}]})}),
    "instructions in escaped json": _told_elsewhere(lambda text: {"tools.json": '{"description": "' + "".join(f"\\u{ord(c):04x}" for c in text) + '"}'}),
    "instructions in utf-16": _told_elsewhere(lambda text: {"notes.txt": text.encode("utf-16")}),
    "instructions in utf-32": _told_elsewhere(lambda text: {"notes.txt": text.encode("utf-32")}),
    "instructions in a zip": _told_elsewhere(lambda text: {"notes.zip": zip_of({"notes.md": text})}),
}  # fmt: skip
