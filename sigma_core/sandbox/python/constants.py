"""Text that is put together: what decoders, operators and methods give on constants."""

from __future__ import annotations

import ast
import base64
import binascii
import codecs

from sigma_core.sandbox.encodings import bounded_decompress
from sigma_core.sandbox.observations import join
from sigma_core.sandbox.python.values import (
    MAX_CONSTANT,
    MAX_JOINED_ITEMS,
    MAX_TEXTS,
    UNKNOWN,
    Constant,
    Value,
    text_value,
)

GAP = "{}"
"""Stands in a known text for a piece that is not known."""
_MAX_INTEGER = 2**63


def as_bytes(constant: Constant) -> bytes:
    """A constant as bytes."""
    if isinstance(constant, bytes):
        return constant
    return str(constant).encode("utf-8", "surrogatepass")


def fold_decoder(name: str, constant: Constant, encoding: str) -> bytes | str | None:
    """What the decoder ``name`` (for ``codecs.decode``: of ``encoding``) makes of a constant, or None."""
    data = as_bytes(constant)
    kind = f"codec {encoding.replace('_codec', '').replace('_', '').replace('-', '')}" if name == "codecs.decode" else name  # fmt: skip
    try:
        if kind.endswith(("b64decode", "decodebytes", "decodestring", "a2b_base64", "codec base64")):
            return base64.b64decode(data.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(data) % 4))
        if kind.endswith("b32decode"):
            return base64.b32decode(data)
        if kind.endswith("b85decode"):
            return base64.b85decode(data)
        if kind.endswith("a85decode"):
            return base64.a85decode(data)
        if kind.endswith(("unhexlify", "a2b_hex", "fromhex", "b16decode", "codec hex")):
            return bytes.fromhex(data.decode("latin-1"))
        if kind == "codec rot13":
            return codecs.decode(data.decode("utf-8", "replace"), "rot13")
        if kind in {"codec utf8", "codec ascii", "codec latin1"}:
            return data.decode("utf-8", "replace")
        if kind == "codec unicodeescape":
            return data.decode("unicode_escape")
        if kind.endswith("decompress") or kind in {"codec zlib", "codec zip", "codec bz2"}:
            unpacked = bounded_decompress(data)
            return unpacked[1][:MAX_CONSTANT] if unpacked else None
    except (ValueError, binascii.Error):
        return None
    return None


def fold_operation(operator: ast.operator, left: Constant, right: Constant) -> Constant | None:
    """``left operator right`` where it is cheap and cannot fail, else None."""
    if isinstance(operator, ast.Add):
        if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) <= MAX_CONSTANT:
            return left + right
        if isinstance(left, bytes) and isinstance(right, bytes) and len(left) + len(right) <= MAX_CONSTANT:
            return left + right
    if isinstance(operator, ast.Mult):
        for text, count in ((left, right), (right, left)):
            if isinstance(text, str | bytes) and isinstance(count, int):
                return text * count if 0 <= count * len(text) <= MAX_CONSTANT else None
    if isinstance(left, int) and isinstance(right, int):
        return _fold_numbers(operator, left, right)
    return None


def _fold_numbers(operator: ast.operator, left: int, right: int) -> int | None:
    if isinstance(operator, ast.Add):
        result = left + right
    elif isinstance(operator, ast.Sub):
        result = left - right
    elif isinstance(operator, ast.Mult):
        result = left * right
    elif isinstance(operator, ast.BitXor):
        result = left ^ right
    elif isinstance(operator, ast.BitAnd):
        result = left & right
    elif isinstance(operator, ast.BitOr):
        result = left | right
    elif isinstance(operator, ast.FloorDiv | ast.Mod) and right:
        result = left // right if isinstance(operator, ast.FloorDiv) else left % right
    elif isinstance(operator, ast.LShift | ast.RShift) and 0 <= right <= 63:
        result = left << right if isinstance(operator, ast.LShift) else left >> right
    elif isinstance(operator, ast.Pow) and 0 <= right <= 8 and abs(left) < 256:
        result = left**right
    else:
        return None
    return result if abs(result) < _MAX_INTEGER else None


def joined(left: Value, right: Value) -> Value:
    """``left + right``; where one side is not known, what the other says still tells which host or file it is about."""
    labels = join(left.labels, right.labels)
    if left.items is not None and right.items is not None:
        short = len(left.items) + len(right.items) <= MAX_JOINED_ITEMS
        return Value(labels=labels, name="list", items=left.items + right.items if short else None)
    if left.constant is not None and right.constant is not None:
        constant = fold_operation(ast.Add(), left.constant, right.constant)
        if constant is None and not (isinstance(left.constant, int) or isinstance(right.constant, int)):
            constant = left.text + right.text if len(left.text) + len(right.text) <= MAX_CONSTANT else None
        others: tuple[str, ...] = ()
        if left.others or right.others:
            others = tuple(one + other for one in left.texts for other in right.texts)[1:MAX_TEXTS]
        return Value(constant, labels, folded=constant is not None, others=others)
    known = left.texts or right.texts
    return text_value(known, labels) if known else Value(labels=labels)


def formatted(template: str, values: list[Value], named: dict[str, Value]) -> str:
    """``template`` with its ``{}`` and ``%s`` fields filled in where known."""
    pieces: list[str] = []
    position = given = 0
    while (start := template.find("{", position)) >= 0 and len(pieces) < 512:
        end = template.find("}", start)
        if end < 0:
            break
        key = template[start + 1 : end].partition(":")[0].partition("!")[0]
        value = UNKNOWN
        if key.isdigit() and int(key[:6]) < len(values):
            value = values[int(key[:6])]
        elif not key and given < len(values):
            value, given = values[given], given + 1
        elif key in named:
            value = named[key]
        pieces += [template[position:start], shown(value)]
        position = end + 1
    return "".join([*pieces, template[position:]])[:MAX_CONSTANT]


def filled(template: str, value: Value) -> str:
    """``template % value``."""
    given = list(value.items) if value.items is not None else [value]
    pieces: list[str] = []
    position = at = 0
    while (start := template.find("%", position)) >= 0 and len(pieces) < 512:
        end = start + 1
        key = None
        if template[end : end + 1] == "(" and (close := template.find(")", end)) >= 0:
            key, end = template[end + 1 : close], close + 1
        while end < len(template) and template[end] in "0123456789.-+# ":
            end += 1
        conversion = template[end : end + 1]
        pieces.append(template[position:start])
        position = end + 1
        if conversion == "%":
            pieces.append("%")
        elif key is not None:
            pieces.append(shown((value.fields or {}).get(key, UNKNOWN)))
        else:
            item = given[at] if at < len(given) else UNKNOWN
            at += 1
            is_character = conversion == "c" and isinstance(item.constant, int) and 0 <= item.constant < 0x110000
            pieces.append(chr(item.constant) if is_character and isinstance(item.constant, int) else shown(item))
    return "".join([*pieces, template[position:]])[:MAX_CONSTANT]


def shown(value: Value) -> str:
    """A value as it would stand in a text."""
    if isinstance(value.constant, int):
        return str(value.constant)
    return value.text if value.constant is not None else GAP


def fold_method(method: str, constant: Constant, arguments: list[Constant | None]) -> Constant | None:
    """A method of a text on constants, or None. ``decode`` and ``encode`` are those of UTF-8."""
    if isinstance(constant, int):
        return None
    if method == "decode" and isinstance(constant, bytes):
        encoding = str(arguments[0]) if arguments and isinstance(arguments[0], str) else "utf-8"
        try:
            return constant.decode(encoding if encoding.lower().replace("_", "-") in _TEXT_ENCODINGS else "utf-8")
        except UnicodeDecodeError:
            return constant.decode("latin-1")
    if method == "encode" and isinstance(constant, str):
        return constant.encode("utf-8", "surrogatepass")
    if method == "hex" and isinstance(constant, bytes):
        return constant.hex()
    if any(argument is None for argument in arguments):
        return None
    kind = type(constant)
    same = [argument for argument in arguments if isinstance(argument, kind)]
    if method == "replace" and len(same) >= 2:
        # An empty pattern, or a long replacement of a short one, multiplies: bounded before it is done.
        pattern, by = same[0], same[1]
        if not pattern or len(constant) + constant.count(pattern) * len(by) > MAX_CONSTANT:  # type: ignore[arg-type]
            return None
        return constant.replace(pattern, by)  # type: ignore[arg-type]
    if method in {"strip", "lstrip", "rstrip", "removeprefix", "removesuffix"} and len(same) == len(arguments):
        if method.startswith("remove") and not same:
            return None
        result: Constant = getattr(constant, method)(*same[:1])
        return result
    if method in {"lower", "upper", "swapcase", "title", "capitalize"} and not arguments:
        folded: Constant = getattr(constant, method)()
        return folded[:MAX_CONSTANT] if isinstance(folded, str | bytes) else None
    return None


_TEXT_ENCODINGS = frozenset({"utf-8", "utf8", "ascii", "latin-1", "latin1", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "unicode-escape"})  # fmt: skip


def sliced(value: Value, node: ast.Slice, bounds: tuple[int | None, int | None, int | None]) -> Value:
    """``value[a:b:c]`` with the known ``bounds``; a bound that stands there and is not known leaves only the labels."""
    for place, bound in zip((node.lower, node.upper, node.step), bounds, strict=True):
        if place is not None and bound is None:
            return Value(labels=value.labels)
    if bounds[2] == 0:
        return Value(labels=value.labels)
    cut = slice(*bounds)
    if isinstance(value.constant, str | bytes):
        return Value(value.constant[cut], value.labels, folded=True)
    if value.items is not None:
        return Value(labels=value.labels, name=value.name, items=value.items[cut])
    return Value(labels=value.labels)
