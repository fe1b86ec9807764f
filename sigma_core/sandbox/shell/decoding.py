"""Programs that turn text into other text: what they decode is read again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import re2

from sigma_core.sandbox.encodings import bounded_decompress, decode_base64, readable
from sigma_core.sandbox.observations import NO_LABELS, Sink, Source, join, only
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.transfers import secure_socket
from sigma_core.sandbox.shell.values import ESCAPED, MAX_TEXT, Call, Stream, is_literal, unescape

_AWK_RUNS = re2.compile(r"\bsystem\s*\(|\|\s*\"(?:/bin/)?(?:ba|z|da)?sh\"")
MAX_ROUNDS = 64
"""How often ``printf`` repeats its form."""
_PLAIN_SUBSTITUTION = re2.compile(
    r"^s([/|#,])([\w\s!@%&~:;<>=_'\\\"-]{1,40})[/|#,]([\w\s!@%&~:;<>=_'\"-]{0,40})[/|#,]([gI]{0,2})$"
)


def _echo(_script: Script, call: Call) -> Stream:
    options = 0
    while options < len(call.texts) and call.texts[options] in {"-e", "-n", "-en", "-ne", "-E", "--"}:
        options += 1
    escapes = any("e" in text for text in call.texts[:options])
    text = " ".join(call.texts[options:])
    return Stream(call.labels, unescape(text) if escapes else text)


def _printf(_script: Script, call: Call) -> Stream:
    texts = call.texts[1:] if call.texts[:1] == ["--"] else call.texts
    if not texts:
        return Stream(call.labels, "")
    labels = join(call.labels, frozenset({(Source.DECODED, "printf")})) if ESCAPED.search(texts[0]) else call.labels
    return Stream(labels, _formatted(unescape(texts[0]), texts[1:]))


def _formatted(form: str, values: list[str]) -> str:
    """``printf``'s text: the values in the places of ``%s`` and ``%b``, the form again while there are values."""
    places = form.count("%s") + form.count("%b")
    if not places:
        return " ".join([form, *values])
    rounds = -(-len(values) // places) if values else 1
    pieces = (form * min(rounds, MAX_ROUNDS)).replace("%b", "%s").split("%s")
    filled = [unescape(value) if "%b" in form else value for value in values]
    filled += [""] * (len(pieces) - 1 - len(filled))
    return "".join(piece + value for piece, value in zip(pieces, [*filled[: len(pieces) - 1], ""], strict=True))[
        :MAX_TEXT
    ]


def _rearranged(script: Script, call: Call) -> Stream | None:
    """``awk`` on a text of the script's own: who wants the words in another order writes them so, or hides them."""
    program = next((text for text in call.operands if "{" in text), "")
    if program:
        script.embed("command", "awk", program, call.node)
    if _AWK_RUNS.search(program):
        script.flow(only(call.stdin.labels, Source.REMOTE), Sink.EXECUTE, call.name, call.node)
    return Stream(frozenset({(Source.DECODED, call.name)})) if is_literal(call.stdin) else None


def _decode(script: Script, call: Call) -> Stream | None:
    kind = _KINDS.get(call.name)
    options = {text for text in call.texts if text.startswith("-")}
    if kind is None or not kind[0](options, call.texts):
        return None
    stdin = call.stdin
    source = stdin.text
    if source is None:
        source = next((script.contents[path] for path in call.operands if path in script.contents), None)
    read = join(stdin.labels, call.labels, *(script.written.get(path, NO_LABELS) for path in call.operands))
    decoded = kind[1](source, call.texts) if source else None
    if decoded is None and call.name in {"tr", "rev", "sed", "cut", "head"}:
        return Stream(read) if call.name in {"tr", "rev"} else None
    plain = call.name in {"sed", "cut", "head"} or (call.name == "tr" and not _rotates(call.texts))
    labels = read if plain else join(read, frozenset({(Source.DECODED, call.name)}))
    if decoded is None:
        return Stream(labels)
    text = readable(decoded)
    if text is not None and not plain:
        script.embed(call.name, "guess", text, call.node)
    return Stream(labels, text if text is not None else decoded.decode("latin-1"))


def _hex(text: str, _texts: list[str]) -> bytes | None:
    try:
        return bytes.fromhex("".join(text.split()).replace("\\x", ""))
    except ValueError:
        return None


def _unpacked(text: str, _texts: list[str]) -> bytes | None:
    unpacked = bounded_decompress(text.encode("latin-1", "ignore"))
    return unpacked[1] if unpacked else None


def _base32(text: str, _texts: list[str]) -> bytes | None:
    try:
        return base64.b32decode("".join(text.split()))
    except (binascii.Error, ValueError):
        return None


def _rotates(texts: list[str]) -> bool:
    """Whether ``tr`` maps many characters at once, as a cipher does and a change of case does not."""
    sets = [_characters(text) for text in texts if not text.startswith("-")]
    return len(sets) == 2 and len(sets[0]) >= 10 and sets[0].lower() != sets[1].lower()


def _translated(text: str, texts: list[str]) -> bytes | None:
    sets = [_characters(operand) for operand in texts if not operand.startswith("-")]
    if "-d" in texts and len(sets) == 1 and sets[0]:
        return text.translate({ord(character): None for character in sets[0]}).encode("utf-8", "replace")
    if len(sets) != 2 or not sets[0] or not sets[1] or any(option.startswith("-") for option in texts):
        return None
    to = sets[1].ljust(len(sets[0]), sets[1][-1])
    return text.translate(dict(zip(map(ord, sets[0]), to, strict=False))).encode("utf-8", "replace")


def _characters(operand: str) -> str:
    """The characters that an operand of ``tr`` names, ranges spelled out."""
    operand = unescape(operand.replace("[:upper:]", "A-Z").replace("[:lower:]", "a-z"))[:512]
    spelled, at = [], 0
    while at < len(operand):
        if operand[at + 1 : at + 2] == "-" and at + 2 < len(operand) and ord(operand[at]) <= ord(operand[at + 2]) < 256:
            spelled += [chr(code) for code in range(ord(operand[at]), ord(operand[at + 2]) + 1)]
            at += 3
        else:
            spelled.append(operand[at])
            at += 1
    return "".join(spelled)


def _substituted(text: str, texts: list[str]) -> bytes | None:
    """``sed 's/plain/text/g'``."""
    for form in texts:
        match = _PLAIN_SUBSTITUTION.search(form)
        if match:
            count = -1 if "g" in match.group(4) else 1
            return text.replace(match.group(2).replace("\\", ""), match.group(3), count)[:MAX_TEXT].encode(
                "utf-8", "replace"
            )
    return None


def _deciphered(text: str, texts: list[str]) -> bytes | None:
    plain = {"-base64", "-a", "base64"} & set(texts) and not any(
        option.startswith(("-aes", "-des", "-k", "-pass")) for option in texts
    )
    return decode_base64(text.strip()) if plain else None


_Decoder = Callable[[str, list[str]], bytes | None]
# When a program decodes (by its options and arguments), and how.
_KINDS: dict[str, tuple[Callable[[set[str], list[str]], bool], _Decoder]] = {
    "base64": (
        lambda options, _: any(
            option == "--decode" or (option[1:2] != "-" and {"d", "D"} & set(option)) for option in options
        ),
        lambda text, _: decode_base64(text.strip()),
    ),
    "base32": (lambda options, _: bool(options & {"-d", "--decode"}), _base32),
    "xxd": (lambda options, _: any("r" in option for option in options), _hex),
    "rev": (lambda _, __: True, lambda text, _: text.strip()[::-1].encode("utf-8", "replace")),
    "tr": (lambda _, __: True, _translated),
    "sed": (lambda options, _: not any(option.startswith("-i") for option in options), _substituted),
    "gzip": (lambda options, _: bool(options & {"-d", "-dc", "-cd"}), _unpacked),
    **{name: ((lambda _, __: True), _unpacked) for name in ("gunzip", "zcat", "bunzip2", "xzcat")},
    "openssl": (lambda options, _: bool({"-d", "-base64"} & options), _deciphered),
}


def _openssl(script: Script, call: Call) -> Stream | None:
    connected = secure_socket(script, call)
    return _decode(script, call) if connected is None else connected


DECODERS: dict[str, Callable[[Script, Call], Stream | None]] = {
    "echo": _echo,
    "printf": _printf,
    **dict.fromkeys(_KINDS, _decode),
    **dict.fromkeys(("awk", "gawk", "mawk"), _rearranged),
    "openssl": _openssl,
}
