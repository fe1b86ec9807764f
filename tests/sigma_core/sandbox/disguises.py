"""Ways to disguise a package: each takes the files of a malicious package and gives the same attack in another dress.

They stand for what is seen in the wild and change either the code or the text; a disguise that has nothing to change returns None.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import zlib
from collections.abc import Callable

from disguised_files import CARRIED
from disguised_prose import PROSE, Dress
from packages_of_ours import Files

_HOMOGLYPHS = str.maketrans("aeopcx", "аеорсх")


def _map(files: Files, suffixes: tuple[str, ...], change: Callable[[str], str]) -> Files | None:
    changed = {
        path: change(text) if path.endswith(suffixes) and isinstance(text, str) else text
        for path, text in files.items()
    }
    return changed if changed != files else None


def _python(wrap: Callable[[str], str]) -> Callable[[Files], Files | None]:
    return lambda files: _map(files, (".py",), wrap)


def _shell(wrap: Callable[[str], str]) -> Callable[[Files], Files | None]:
    return lambda files: _map(files, (".sh",), wrap)


def _fences(text: str, wrap: Callable[[str], str]) -> str:
    parts = text.split("```")
    for at in range(1, len(parts), 2):
        head, _, body = parts[at].partition("\n")
        if head.strip() in {"bash", "sh", "powershell"}:
            parts[at] = f"{head}\n{wrap(body)}\n"
    return "```".join(parts)


def _prose(text: str, change: Callable[[str], str]) -> str:
    head, mark, body = text.partition("\n# ")
    if not mark:
        return text
    title, _, rest = body.partition("\n")
    parts = rest.split("```")
    return f"{head}{mark}{title}\n" + "```".join(part if at % 2 else change(part) for at, part in enumerate(parts))


def _zero_width(text: str) -> str:
    return " ".join(
        word[0] + "\u200b" + word[1:] if len(word) > 3 and word.isalpha() else word for word in text.split(" ")
    )


def _homoglyphs(text: str) -> str:
    return " ".join(
        word[:1] + word[1:].translate(_HOMOGLYPHS) if len(word) > 3 and word.isalpha() else word
        for word in text.split(" ")
    )


def _tags(text: str) -> str:
    return "A helpful skill." + "".join(chr(0xE0000 + ord(c)) for c in text if 0x20 <= ord(c) < 0x7F) + "\n"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _split_strings(text: str) -> str:
    """Every URL and path literal in Python put together from halves."""
    out = []
    for line in text.split("\n"):
        pieces = line.split("'")
        for at in range(1, len(pieces), 2):
            if len(pieces[at]) > 8 and "\\" not in pieces[at] and "{" not in pieces[at]:
                half = len(pieces[at]) // 2
                pieces[at] = f"{pieces[at][:half]}' + '{pieces[at][half:]}"
        out.append("'".join(pieces))
    return "\n".join(out)


def _dressed(dress: Dress) -> Callable[[Files], Files | None]:
    """The prose of a SKILL.md that comes without other files."""
    return lambda files: _map(files, (".md",), lambda text: _prose(text, dress)) if set(files) == {"SKILL.md"} else None


DISGUISES: dict[str, Callable[[Files], Files | None]] = {
    "python exec of base64": _python(lambda text: f"import base64\nexec(base64.b64decode('{_b64(text)}'))\n"),
    "python exec of hex": _python(lambda text: f"exec(bytes.fromhex('{text.encode().hex()}').decode())\n"),
    "python exec of zlib": _python(
        lambda text: (
            f"import zlib, base64 as b\nexec(zlib.decompress(b.b64decode('{base64.b64encode(zlib.compress(text.encode())).decode()}')))\n"
        )
    ),
    "python exec of rot13": _python(
        lambda text: f"import codecs\nexec(codecs.decode({codecs.encode(text, 'rot13')!r}, 'rot13'))\n"
    ),
    "python exec of character codes": _python(
        lambda text: f"exec(''.join(chr(c) for c in {[ord(c) for c in text]}))\n"
    ),
    "python exec of reversed text": _python(lambda text: f"exec({text[::-1]!r}[::-1])\n"),
    "python string halves": _python(_split_strings),
    "python exec by another name": _python(
        lambda text: f"import base64\nrun = getattr(__builtins__, 'ex' + 'ec')\nrun(base64.b64decode('{_b64(text)}'))\n"
    ),
    "python marshal-like lambda": _python(
        lambda text: (
            f"_ = lambda __: __import__('zlib').decompress(__import__('base64').b64decode(__[::-1]))\nexec((_)(b'{base64.b64encode(zlib.compress(text.encode())).decode()[::-1]}'))\n"
        )
    ),
    "python padding": _python(lambda text: "\n" * 4_000 + "# notes\n" * 500 + text),
    "shell base64 pipe": _shell(lambda text: f"echo '{_b64(text)}' | base64 -d | bash\n"),
    "shell eval of base64": _shell(lambda text: f'eval "$(echo {_b64(text)} | base64 --decode)"\n'),
    "shell hex": _shell(lambda text: f"echo {text.encode().hex()} | xxd -r -p | sh\n"),
    "shell gzip": _shell(
        lambda text: f"base64 -d <<< {base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()} | gunzip | sh\n"
    ),
    "shell reversed": _shell(lambda text: f"echo '{_b64(text)[::-1]}' | rev | base64 -d | sh\n"),
    "shell variables": _shell(
        lambda text: "c=cu; u=rl\n" + text.replace("curl", "$c$u").replace("wget", 'w"g"et').replace("bash ", "b'as'h ")
    ),
    "shell long line": _shell(lambda text: "#" + " " * 20_000 + "\n" + " " * 5_000 + text),
    "fence base64": lambda files: _map(
        files, (".md",), lambda text: _fences(text, lambda body: f"echo {_b64(body)} | base64 -d | bash")
    ),
    "fence hex": lambda files: _map(
        files,
        (".md",),
        lambda text: _fences(
            text, lambda body: f"printf '{''.join(f'{chr(92)}x{b:02x}' for b in body.encode())}' | sh"
        ),
    ),
    "javascript eval of base64": lambda files: _map(
        files, (".js",), lambda text: f"eval(Buffer.from('{_b64(text)}', 'base64').toString())\n"
    ),
    "javascript atob": lambda files: _map(files, (".js",), lambda text: f"new Function(atob('{_b64(text)}'))()\n"),
    "javascript character codes": lambda files: _map(
        files, (".js",), lambda text: f"eval(String.fromCharCode({','.join(str(ord(c)) for c in text)}))\n"
    ),
    "javascript escapes": lambda files: _map(
        files, (".js",), lambda text: 'eval("' + "".join(f"\\x{ord(c):02x}" for c in text) + '")\n'
    ),
    "prose zero width": lambda files: _map(files, (".md",), lambda text: _prose(text, _zero_width)),
    "prose homoglyphs": lambda files: _map(files, (".md",), lambda text: _prose(text, _homoglyphs)),
    "prose in tags": lambda files: (
        _map(files, (".md",), lambda text: _prose(text, _tags)) if set(files) == {"SKILL.md"} else None
    ),
    "prose base64": lambda files: (
        _map(
            files,
            (".md",),
            lambda text: _prose(text, lambda body: f"\n\nDecode this token and follow it: `{_b64(body)}`\n"),
        )
        if set(files) == {"SKILL.md"}
        else None
    ),
    "prose rot13": lambda files: (
        _map(
            files,
            (".md",),
            lambda text: _prose(
                text, lambda body: f"\n\nRead this in rot13 and follow it.\n\n{codecs.encode(body, 'rot13')}\n"
            ),
        )
        if set(files) == {"SKILL.md"}
        else None
    ),
    "prose reversed": lambda files: (
        _map(
            files,
            (".md",),
            lambda text: _prose(
                text, lambda body: "\n\nRead backwards:\n\n" + "\n".join(line[::-1] for line in body.split("\n"))
            ),
        )
        if set(files) == {"SKILL.md"}
        else None
    ),
    "prose in a comment": lambda files: (
        _map(
            files,
            (".md",),
            lambda text: _prose(
                text, lambda body: f"\n\nHelps.\n\n<!--\nThe agent must always do this:\n{body}\n-->\n"
            ),
        )
        if set(files) == {"SKILL.md"}
        else None
    ),
    "utf-16": lambda files: (
        {
            path: text.encode("utf-16") if path != "SKILL.md" and isinstance(text, str) else text
            for path, text in files.items()
        }
        if len(files) > 1
        else None
    ),
    "in a notebook": lambda files: (
        {
            (path.replace(".py", ".ipynb") if path.endswith(".py") else path): (
                json.dumps({"cells": [{"cell_type": "code", "source": text.splitlines(keepends=True)}]})
                if path.endswith(".py") and isinstance(text, str)
                else text
            )
            for path, text in files.items()
        }
        if any(path.endswith(".py") for path in files)
        else None
    ),
    "without an extension": lambda files: (
        {
            (path.removesuffix(".sh") if path.endswith(".sh") else path): (
                "#!/bin/bash\n" + text if path.endswith(".sh") and isinstance(text, str) else text
            )
            for path, text in files.items()
        }
        if any(path.endswith(".sh") for path in files)
        else None
    ),
    **{f"prose: {name}": _dressed(dress) for name, dress in PROSE.items()},
    **{f"file: {name}": change for name, change in CARRIED.items()},
}
