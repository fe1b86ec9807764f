"""Expressions: names, literals, members and what operators make of them."""

from __future__ import annotations

from collections.abc import Callable

import re2
import tree_sitter

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.javascript.evaluation import rotates_strings
from sigma_core.sandbox.javascript.programs import runs
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.requests_carried import carried
from sigma_core.sandbox.javascript.values import MAX_CONSTANT, MAX_PARTS, UNKNOWN, Value, unescape
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Source, but, join

_ENVIRONMENTS = frozenset({"process.env", "Deno.env", "Bun.env", "import.meta.env"})
_GLOBALS = frozenset({"globalThis", "global", "window", "self"})
_HEADER_KEYS = frozenset({"headers", "authorization", "auth", "x-api-key", "cookie"})
_URL_KEYS = frozenset({"hostname", "host", "url", "uri", "baseurl", "prefixurl"})
_ENDLESS = re2.compile(r"^for\s*\(\s*;\s*;\s*\)")
_NAMED_AT_RUN_TIME = frozenset({"eval", "exec", "execSync", "spawn", "constructor"})


def _identifier(reader: Reader, node: tree_sitter.Node) -> Value:
    name = reader.text(node)
    return reader.lookup(name) or Value(name=name)


def _string(reader: Reader, node: tree_sitter.Node) -> Value:
    return Value(constant=unescape(reader.text(node)[1:-1])[:MAX_CONSTANT])


def _template_string(reader: Reader, node: tree_sitter.Node) -> Value:
    pieces, labels = [], []
    for child in node.named_children:
        if child.type == "template_substitution":
            value = reader.read(child.named_children[0]) if child.named_children else UNKNOWN
            labels.append(value.labels)
            pieces.append(value.constant if value.constant is not None else "{}")
        else:
            pieces.append(reader.text(child))
    return Value(constant="".join(pieces)[:MAX_CONSTANT] or reader.text(node)[1:-1], labels=join(*labels))


def _binary_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    operator = reader.text(node.child_by_field_name("operator"))
    if operator == "+":
        return _sum(reader, node)
    left, right = reader.read(node.child_by_field_name("left")), reader.read(node.child_by_field_name("right"))
    labels = join(left.labels, right.labels)
    if operator in {"||", "??"}:
        either = left if left.constant is not None or left.name else right
        return Value(either.constant, labels, left.name or right.name, either.parts, fields=either.fields)
    return Value(labels=labels)


def _sum(reader: Reader, node: tree_sitter.Node) -> Value:
    """``a + b + c``, however long, as one: the grammar nests it to the left."""
    operands: list[tree_sitter.Node | None] = []
    rest: tree_sitter.Node | None = node
    while (
        rest is not None
        and rest.type == "binary_expression"
        and reader.text(rest.child_by_field_name("operator")) == "+"
    ):
        operands.append(rest.child_by_field_name("right"))
        rest = rest.child_by_field_name("left")
    operands.append(rest)
    values = [reader.read(operand) for operand in reversed(operands)]
    labels = join(*(value.labels for value in values))
    constants = [value.constant for value in values if value.constant is not None]
    if not constants:
        return Value(labels=labels)
    known = values[-1].constant is not None and len(constants) > 1
    text = "".join(constants)[:MAX_CONSTANT]
    if known and len(text) >= 8:
        reader.embed("concatenation", "text", text, node)
    return Value(text, labels, folded=known)


def _sequence_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    """``(0, eval)``: the last one counts."""
    values = [reader.read(child) for child in node.named_children]
    return values[-1] if values else UNKNOWN


def _ternary_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    reader.read(node.child_by_field_name("condition"))
    then, otherwise = (reader.read(node.child_by_field_name(name)) for name in ("consequence", "alternative"))
    either = then if then.constant is not None or then.name else otherwise
    return Value(either.constant, join(then.labels, otherwise.labels), either.name, either.parts)


def _array(reader: Reader, node: tree_sitter.Node) -> Value:
    values = [reader.read(child) for child in node.named_children]
    return Value(
        labels=join(*(value.labels for value in values[:MAX_PARTS])),
        parts=tuple(value.constant or "" for value in values[:MAX_PARTS]),
        fields={str(at): value for at, value in enumerate(values[:MAX_PARTS]) if runs(value.name)} or None,
    )


def _object(reader: Reader, node: tree_sitter.Node) -> Value:
    labels: list[Labels] = []
    headers: list[Labels] = []
    fields: dict[str, Value] = {}
    url = None
    name = "object"
    for child in node.named_children[:MAX_PARTS]:
        if child.type == "pair":
            key_node = child.child_by_field_name("key")
            key = reader.text(key_node).strip("'\"")
            if key_node is not None and key_node.type == "computed_property_name":
                key = reader.read(key_node.named_children[0]).constant or "" if key_node.named_children else ""
            value = fields[key] = reader.read(child.child_by_field_name("value"))
            (headers if key.lower() in _HEADER_KEYS else labels).append(value.labels)
            headers.append(value.headers)
            if key == "method" and (value.constant or "").upper() in {"POST", "PUT", "PATCH"}:
                name = "object:post"
            if key.lower() in _URL_KEYS and value.constant:
                url = value.constant
        elif child.type == "shorthand_property_identifier":
            key = reader.text(child)
            value = fields[key] = reader.lookup(key) or Value(name=key)
            (headers if key.lower() in _HEADER_KEYS else labels).append(value.labels)
            if key.lower() in _URL_KEYS and value.constant:
                url = value.constant
        else:
            value = reader.read(child)
            labels.append(value.labels)
            if child.type == "spread_element" and value.fields:
                fields |= value.fields
                url = url or value.constant
    return Value(url, join(*labels), name, headers=join(*headers), fields=fields)


def _member_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    return member(reader, reader.read(node.child_by_field_name("object")), node)


def member(reader: Reader, holder: Value, node: tree_sitter.Node) -> Value:
    """``holder.property`` of the member expression ``node``."""
    name = reader.text(node.child_by_field_name("property"))
    if holder.name == "process.env":
        return holder if name == "toObject" else variable(reader, name, node)
    if holder.fields and name in holder.fields:
        return holder.fields[name]
    if name == "default" and holder.name and not holder.name.startswith("object"):
        return holder
    full = ""
    if holder.name and not holder.name.startswith("object"):
        full = name if holder.name in _GLOBALS else f"{holder.name}.{name}"
    if full in _ENVIRONMENTS:
        return environment(reader, node)
    if full == "document.cookie":
        return Value(labels=frozenset({(Source.PERSONAL, "document.cookie")}))
    if labels := carried(full):
        return Value(labels=labels)
    known = reader.names.get(f".:{full}") if full else reader.names.get(f".:{name}")
    if known is not None:
        return known
    return Value(labels=holder.labels, name=full, constant=holder.constant if name in {"host", "href"} else None)


def _subscript_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    holder = reader.read(node.child_by_field_name("object"))
    return element(reader, holder, reader.read(node.child_by_field_name("index")), node)


def element(reader: Reader, holder: Value, index: Value, node: tree_sitter.Node) -> Value:
    """``holder[index]``."""
    key = index.constant
    if holder.name == "process.env":
        return variable(reader, key or "?", node)
    if key is not None and holder.fields and key in holder.fields:
        return holder.fields[key]
    if key and holder.parts:
        try:
            return Value(holder.parts[int(key, 0)], holder.labels)
        except (ValueError, IndexError):
            pass
    if key and holder.name:
        if index.folded and key in _NAMED_AT_RUN_TIME:
            reader.hit("SIGMA-OBF-009", f"{holder.name}.{key}", node)
        base = "" if holder.name in _GLOBALS else f"{holder.name}."
        return Value(name=f"{base}{key}", labels=holder.labels)
    return Value(labels=join(holder.labels, but(index.labels, Source.REQUEST)))


def environment(reader: Reader, node: tree_sitter.Node) -> Value:
    """All environment variables."""
    reader.can(Ability.ENVIRONMENT, "*", node)
    return Value(name="process.env", labels=frozenset({(Source.ENVIRONMENT, "process.env")}))


def one_of(value: Value) -> Value:
    """What a loop over ``value`` is given; of several texts, one that names a secret."""
    secret = next((part for part in value.parts if vocabulary.secret_file(part)), None)
    return Value(secret, value.labels, "" if value.parts or value.name.startswith("object") else value.name)


def variable(reader: Reader, name: str, node: tree_sitter.Node) -> Value:
    """The environment variable ``name``."""
    reader.can(Ability.ENVIRONMENT, name, node)
    if name in {"HOME", "USERPROFILE"}:
        return Value(constant="~")
    return Value(labels=frozenset({(Source.SECRET_VARIABLE, name)}) if vocabulary.secret_variable(name) else NO_LABELS)


def _while_statement(reader: Reader, node: tree_sitter.Node) -> Value:
    if rotates_strings(reader, node):
        reader.hit("SIGMA-OBF-014", "rotated table of strings", node)
    reader.polls += 1
    for child in node.named_children:
        reader.read(child)
    reader.polls -= 1
    return UNKNOWN


def _for_statement(reader: Reader, node: tree_sitter.Node) -> Value:
    endless = bool(_ENDLESS.search(reader.text(node)[:40]))
    reader.polls += endless
    for child in node.named_children:
        reader.read(child)
    reader.polls -= endless
    return UNKNOWN


EXPRESSIONS: dict[str, Callable[[Reader, tree_sitter.Node], Value]] = {
    "identifier": _identifier,
    "string": _string,
    "template_string": _template_string,
    "binary_expression": _binary_expression,
    "sequence_expression": _sequence_expression,
    "ternary_expression": _ternary_expression,
    "while_statement": _while_statement,
    "for_statement": _for_statement,
    "array": _array,
    "object": _object,
    "member_expression": _member_expression,
    "subscript_expression": _subscript_expression,
}
