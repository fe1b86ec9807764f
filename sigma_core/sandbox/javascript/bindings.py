"""What binds names: declarations, assignments, functions, classes, enumerations, imports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tree_sitter

from sigma_core.sandbox.javascript.expressions import environment, one_of, variable
from sigma_core.sandbox.javascript.reader import MAX_DEPTH, Reader
from sigma_core.sandbox.javascript.values import FUNCTIONS, MAX_CONSTANT, MAX_PARTS, UNKNOWN, Value
from sigma_core.sandbox.observations import join

_ARRIVALS = frozenset({"onmessage", "ondata"})


def bind(reader: Reader, target: tree_sitter.Node | None, value: Value) -> None:
    """The pattern ``target`` takes ``value``."""
    if target is None or reader.depth >= MAX_DEPTH:
        return
    reader.depth += 1
    _bind(reader, target, value)
    reader.depth -= 1


def _bind(reader: Reader, target: tree_sitter.Node, value: Value) -> None:
    if target.type == "identifier":
        reader.name(reader.text(target), value)
    elif target.type == "member_expression":
        _bind_member(reader, target, value)
    elif target.type in {"required_parameter", "optional_parameter"}:
        bind(reader, target.child_by_field_name("pattern"), value)
    elif target.type in {"assignment_pattern", "object_assignment_pattern"}:
        default = reader.read(target.child_by_field_name("right"))
        given = value if value != UNKNOWN else default
        bind(reader, target.child_by_field_name("left"), replace(given, labels=join(given.labels, default.labels)))
    elif target.type == "shorthand_property_identifier_pattern":
        reader.name(reader.text(target), value)
    elif target.type == "object_pattern":
        for child in target.named_children:
            if child.type == "shorthand_property_identifier_pattern":
                bind(reader, child, _taken(reader, value, reader.text(child), child))
            elif child.type == "object_assignment_pattern":
                name = reader.text(child.child_by_field_name("left"))
                bind(reader, child, _taken(reader, value, name, child))
            elif child.type == "pair_pattern":
                name = reader.text(child.child_by_field_name("key")).strip("'\"")
                bind(reader, child.child_by_field_name("value"), _taken(reader, value, name, child))
            else:
                bind(reader, child, replace(value, parts=()))
    elif target.type == "array_pattern":
        for at, child in enumerate(target.named_children):
            bind(reader, child, Value(value.parts[at] if at < len(value.parts) else None, value.labels))
    elif target.type == "rest_pattern" and target.named_children:
        bind(reader, target.named_children[0], value)


def _bind_member(reader: Reader, target: tree_sitter.Node, value: Value) -> None:
    name = reader.text(target.child_by_field_name("property"))
    owner = target.child_by_field_name("object")
    if name == "exports" or reader.text(owner) in {"exports", "module"}:
        return
    reader.names[f".:{name}"] = value
    if owner is not None and owner.type == "identifier":
        held = reader.lookup(reader.text(owner))
        if held is not None and held.name.startswith("object"):
            # An object that takes a value carries it on.
            fields = dict(held.fields or {})
            if len(fields) < MAX_PARTS:
                fields[name] = value
            reader.name(reader.text(owner), replace(held, labels=join(held.labels, value.labels), fields=fields))


def _taken(reader: Reader, value: Value, name: str, node: tree_sitter.Node) -> Value:
    """What destructuring takes out of ``value`` under ``name``."""
    if value.name == "process.env":
        return variable(reader, name, node)
    if value.name == "process" and name == "env":
        return environment(reader, node)
    if value.fields and name in value.fields:
        return value.fields[name]
    named = value.name and not value.name.startswith("object")
    return Value(name=f"{value.name}.{name}" if named else "", labels=value.labels)


def _variable_declarator(reader: Reader, node: tree_sitter.Node) -> Value:
    name, body = node.child_by_field_name("name"), node.child_by_field_name("value")
    if body is not None and body.type in FUNCTIONS and name is not None and name.type == "identifier":
        define(reader, reader.text(name), body)
    else:
        bind(reader, name, reader.read(body))
    return UNKNOWN


def _field_definition(reader: Reader, node: tree_sitter.Node) -> Value:
    name = node.child_by_field_name("property") or node.child_by_field_name("name")
    body = node.child_by_field_name("value")
    if body is not None and body.type in FUNCTIONS:
        define(reader, reader.text(name), body)
    elif body is not None:
        reader.names[f".:{reader.text(name)}"] = reader.read(body)
    return UNKNOWN


def _enum_declaration(reader: Reader, node: tree_sitter.Node) -> Value:
    fields = {}
    body = node.child_by_field_name("body")
    for child in body.named_children[:MAX_PARTS] if body is not None else ():
        if child.type == "enum_assignment":
            key = reader.text(child.child_by_field_name("name")).strip("'\"")
            fields[key] = reader.read(child.child_by_field_name("value"))
    reader.name(reader.text(node.child_by_field_name("name")), Value(name="object", fields=fields))
    return UNKNOWN


def _assignment_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is not None and left.type == "subscript_expression":
        reader.read(left)
    if right is not None and right.type in FUNCTIONS and left is not None and left.type == "member_expression":
        name = reader.text(left.child_by_field_name("property"))
        holder = reader.read(left.child_by_field_name("object"))
        parameters = parameters_of(right)
        if name in _ARRIVALS and holder.name == "socket" and parameters:
            reader.names[f"{name}:{reader.text(parameters[0])[:200]}"] = Value(labels=holder.labels)
        return define(reader, name, right)
    value = reader.read(right)
    bind(reader, left, value)
    return value


def _augmented_assignment_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    left, right = node.child_by_field_name("left"), reader.read(node.child_by_field_name("right"))
    before = reader.read(left)
    constant = None
    if before.constant is not None and right.constant is not None and len(before.constant) < MAX_CONSTANT:
        constant = before.constant + right.constant
        if 8 <= len(constant) < 4_096:
            reader.embed("concatenation", "text", constant, node)
    value = Value(constant, join(before.labels, right.labels), folded=True)
    bind(reader, left, value)
    return value


def parameters_of(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The parameters of a function, as patterns."""
    listed = node.child_by_field_name("parameters")
    if listed is None:
        single = node.child_by_field_name("parameter")
        return [] if single is None else [single]
    return [listed] if listed.type == "identifier" else listed.named_children


def define(reader: Reader, name: str, node: tree_sitter.Node) -> Value:
    """Read the function ``node`` under ``name``: its calls hand values to its parameters."""
    names = []
    for child in parameters_of(node):
        inner = child.child_by_field_name("pattern") or child.child_by_field_name("left") or child
        names.append(reader.text(inner)[:200])
    reader.functions[name] = names
    reader.enclosing.append(name)
    for child, parameter in zip(parameters_of(node), names, strict=True):
        if child.type != "identifier":
            bind(reader, child, reader.names.get(f"{name}:{parameter}", UNKNOWN))
    body = node.child_by_field_name("body")
    polls = name in reader.come_back
    reader.polls += polls
    value = reader.read(body)
    reader.polls -= polls
    if node.type == "arrow_function" and body is not None and body.type != "statement_block":
        reader.returns[name] = value
    reader.enclosing.pop()
    return Value(name=name)


def _function_declaration(reader: Reader, node: tree_sitter.Node) -> Value:
    return define(reader, reader.text(node.child_by_field_name("name")), node)


def _return_statement(reader: Reader, node: tree_sitter.Node) -> Value:
    value = reader.read(node.named_children[0]) if node.named_children else UNKNOWN
    before = reader.returns.get(reader.function, UNKNOWN)
    reader.returns[reader.function] = replace(value, labels=join(before.labels, value.labels))
    return UNKNOWN


def _for_in_statement(reader: Reader, node: tree_sitter.Node) -> Value:
    taken = reader.read(node.child_by_field_name("right"))
    bind(reader, node.child_by_field_name("left"), one_of(taken))
    return reader.read(node.child_by_field_name("body"))


def _import_statement(reader: Reader, node: tree_sitter.Node) -> Value:
    if any(child.type == "type" for child in node.children):
        return UNKNOWN
    module = reader.text(node.child_by_field_name("source"))[1:-1].removeprefix("node:")
    for clause in node.named_children:
        if clause.type == "import_require_clause" and clause.named_children:
            taken = reader.text(clause.child_by_field_name("source"))[1:-1].removeprefix("node:")
            reader.names[f":{reader.text(clause.named_children[0])}"] = Value(name=taken)
        for child in clause.named_children if clause.type == "import_clause" else ():
            if child.type == "identifier":
                reader.names[f":{reader.text(child)}"] = Value(name=module)
            elif child.type == "namespace_import" and child.named_children:
                reader.names[f":{reader.text(child.named_children[0])}"] = Value(name=module)
            elif child.type == "named_imports":
                for item in child.named_children:
                    name, alias = item.child_by_field_name("name"), item.child_by_field_name("alias")
                    if name is not None:
                        reader.names[f":{reader.text(alias or name)}"] = Value(name=f"{module}.{reader.text(name)}")
    return UNKNOWN


BINDINGS: dict[str, Callable[[Reader, tree_sitter.Node], Value]] = {
    "variable_declarator": _variable_declarator,
    "field_definition": _field_definition,
    "public_field_definition": _field_definition,
    "enum_declaration": _enum_declaration,
    "assignment_expression": _assignment_expression,
    "augmented_assignment_expression": _augmented_assignment_expression,
    "function_declaration": _function_declaration,
    "generator_function_declaration": _function_declaration,
    "method_definition": _function_declaration,
    "return_statement": _return_statement,
    "for_in_statement": _for_in_statement,
    "import_statement": _import_statement,
}
