"""Harmless things that look like a disguise: what honest packages carry every day. Each adds files or words to a package and changes nothing that it does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections.abc import Callable

from carriers import PICTURE, chunk, compiled, picture, tar_of, zip_of
from packages_of_ours import Files

_NOISE = random.Random(7).randbytes(6_000)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _with(added: Files) -> Callable[[Files], Files]:
    return lambda files: {**files, **added}


def _said(words: str) -> Callable[[Files], Files]:
    return lambda files: (
        {**files, "SKILL.md": f"{files['SKILL.md']}\n\n{words}\n"} if isinstance(files["SKILL.md"], str) else files
    )


def _scripts_encoded(files: Files) -> Files:
    return {path: f"import base64\nCODE = base64.b64decode('{_b64(text.encode())}').decode()\nprint(len(CODE))\n" if path.endswith(".py") and isinstance(text, str) else text for path, text in files.items()}  # fmt: skip


_PYTHON = "import json\n\n\ndef load(path):\n    with open(path) as handle:\n        return json.load(handle)\n"
_XML = "<w:document><w:body><w:p><w:r><w:t>Minutes of the meeting: everybody agreed.</w:t></w:r></w:p></w:body></w:document>"

LOOK_ALIKES: dict[str, Callable[[Files], Files]] = {
    "picture in base64": _said(f"![logo](data:image/png;base64,{_b64(PICTURE)})"),
    "noise in base64": _with({"assets/font.css": f"@font-face {{ src: url(data:font/woff2;base64,{_b64(_NOISE)}) }}\n"}),
    "base64 in lines": _with({"data/blob.b64": "\n".join(_b64(_NOISE)[at : at + 76] for at in range(0, 4_000, 76)) + "\n"}),
    "encoded configuration": _with({"config.py": f"SETTINGS = '{_b64(b'region: eu-west-1 and colour: blue, from the user settings')}'\n"}),
    "packed configuration": _with({"config.txt": _b64(gzip.compress(b'{"theme": "dark", "size": 12, "from": "the defaults"}', mtime=0)) + "\n"}),
    "scripts encoded and only counted": _scripts_encoded,
    "hashes": _with({"SHA256SUMS": "".join(f"{hashlib.sha256(bytes([n])).hexdigest()}  file{n}.txt\n" for n in range(60))}),
    "integrity strings": _with({"package-lock.json": json.dumps({"name": "a", "lockfileVersion": 3, "packages": {f"node_modules/p{n}": {"version": "1.0.0", "resolved": f"https://registry.npmjs.org/p{n}/-/p{n}-1.0.0.tgz", "integrity": "sha512-" + _b64(hashlib.sha512(bytes([n])).digest())} for n in range(40)}})}),
    "token example": _said("A token looks like `eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c`."),
    "public key": _with({"keys/signer.pub": "ssh-ed25519 " + _b64(b"\0\0\0\x0bssh-ed25519\0\0\0 " + _NOISE[:32]) + " signer@host\n"}),
    "PGP block": _with({"SIGNATURE.asc": "-----BEGIN PGP SIGNATURE-----\n\n" + "\n".join(_b64(_NOISE[at : at + 48]) for at in range(0, 480, 48)) + "\n=Xy12\n-----END PGP SIGNATURE-----\n"}),
    "numbers": _with({"data.csv": "\n".join(", ".join(str(32 + (row * 7 + column) % 90) for column in range(20)) for row in range(60)) + "\n"}),
    "hexadecimal table": _with({"table.c": "static const unsigned char T[] = {" + ", ".join(f"0x{byte:02x}" for byte in _NOISE[:256]) + "};\n"}),
    "binary digits": _said("The masks are 11110000 00001111 10101010 01010101 11001100 00110011 11111111 00000000."),
    "percent-encoded address": _said("See https://github.com/search?q=label%3Abug%20is%3Aopen%20sort%3Aupdated-desc&type=issues%20and%20more."),
    "entities": _with({"page.html": "<html><body><p>&copy; 2026 &mdash; caf&eacute; &amp; bar &lt;b&gt; &quot;quoted&quot; &nbsp; &hellip; fin</p></body></html>\n"}),
    "escaped translations": _with({"zh.json": json.dumps({"greeting": "你好，世界。请输入您的名字。", "bye": "再见"})}),
    "Arabic and Hebrew": _with({"README.ar.md": "# دليل\n\nهذه المهارة تكتب الملاحظات \u2067abc\u2069 كل يوم.\n\nשלום עולם: הכלי \u202bכותב\u202c הערות.\n"}),
    "Russian and Greek": _with({"README.ru.md": "# Заметки\n\nЭтот навык ведёт заметки. Он сохраняет их в папке notes и ничего не отправляет.\n\nΗ δεξιότητα γράφει σημειώσεις· α, β και γ.\n"}),
    "Chinese in full width": _with({"README.zh.md": "# 笔记\n\n这个技能（Ｎｏｔｅ　Ａｐｐ）会写笔记，然后保存：１、２、３。\n"}),
    "Vietnamese and French": _with({"README.vi.md": "# Ghi chú\n\nKỹ năng này viết ghi chú hằng ngày.\n\nCafé, thé, naïve, déjà vu, à la carte, où.\n"}),
    "emoji": _said("👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️ ✅ 🇫🇷🇩🇪 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f done ✔️ ✔️ ✔️ ✔️"),
    "mathematics": _said("Let α_i, σ² and ∇f(x) be as above; 𝑥 ∈ ℝⁿ, H₂SO₄, Δt = 5 µs, νmax, 10 kΩ."),
    "Persian joiners": _with({"README.fa.md": "# راهنما\n\nمی\u200cخواهم یادداشت\u200cها را بنویسم.\n"}),
    "soft hyphens": _said("The docu\u00admen\u00adta\u00adtion is in\u00adcluded."),
    "initials and lists": _said("Options: a, b, c, d, e, f. U.S.A., e.g. the R.E.S.T. style; press C T R L."),
    "file names and versions": _said("Use base64, sha256, utf8, h264, md5sum, i18n, k8s, l10n, a11y and v1.2.3; never f00bar."),
    "emphasis inside words": _said("Use **bold**ed words, `code`d names and re*open*ed issues; see [docs](docs.md \"The documentation of every option in one place\")."),
    "hidden menu": _with({"page.html": "<html><body><div style=\"display:none\">Loading, please wait for the list of results</div><p onclick=\"toggle(this)\">Menu</p></body></html>\n"}),
    "reversed sample": _said("The palindrome checker turns `stressed` into `desserts` and `drawer` into `reward`."),
    "minified script": _with({"assets/app.min.js": "!function(e,t){" + ";".join(f"var a{n}=function(b){{return b+{n}}}" for n in range(300)) + "}(window,document);\n"}),
    "document with words": _with({"minutes.docx": zip_of({"[Content_Types].xml": "<Types/>", "word/document.xml": _XML, "word/styles.xml": "<w:styles/>", "docProps/core.xml": "<cp:coreProperties><dc:title>Minutes</dc:title></cp:coreProperties>"})}),
    "archive of examples": _with({"examples.zip": zip_of({"a.json": '{"a": 1}', "b.py": _PYTHON}), "more.tar.gz": tar_of({"c.md": b"# Example\n\nText.\n"}, "w:gz")}),
    "picture with a comment": _with({"logo.png": picture(chunk(b"tEXt", b"Software\0Made with the GIMP and exported from the original"))}),
    "cache of a source": _with({"tool.py": _PYTHON, "__pycache__/tool.cpython-311.pyc": compiled(_PYTHON)}),
    "notebook with outputs": _with({"demo.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": ["%matplotlib inline\n", "x = 1\n"], "outputs": [{"data": {"image/png": _b64(PICTURE), "text/plain": "<Figure size 640x480>"}}]}], "metadata": {"kernelspec": {"name": "python3"}}})}),
    "tool descriptions": _with({"tools.json": json.dumps({"tools": [{"name": "search", "description": "Search the notes of the user and return the titles of the best ten.\nUse it before writing a new note."}]})}),
    "blank lines": _with({"notes.txt": "one\n" + "\n" * 400 + "two\n"}),
    "rot13 spoiler": _said("Spoilers are written in rot13: Gur ohgyre qvq vg, naq gur pbbx xarj."),
}  # fmt: skip
