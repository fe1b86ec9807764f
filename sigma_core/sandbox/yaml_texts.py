"""Texts under given keys of somebody else's YAML (workflows, hooks), as any YAML reader would find them: behind anchors, aliases, merge keys and tags too.

Intake refuses such things in a manifest (`sigma_core.submissions.strict_yaml`); other files of a package may have them, and a command must not hide behind one. An alias is
the one node that it names, read once however often it is named, so that work is linear in the text and a "billion laughs" is nine lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

MAX_NODES = 20_000
MAX_DEPTH = 40


@dataclass(eq=False, slots=True)
class YamlNode:
    """A scalar with its ``text``, or a list or mapping with its ``parts``: ``(key, node)``, the key empty in a list."""

    text: str | None = None
    parts: list[tuple[str, YamlNode]] = field(default_factory=list)


def texts_under(text: str, keys: set[str]) -> Iterator[str]:
    """The text of every scalar under one of ``keys``, in the order of the text; of a scalar behind an alias once for each key that it stands under directly, and of what is below one alias once.

    What comes after a fault of syntax, more than `MAX_NODES` nodes in, or deeper than `MAX_DEPTH` is left out: nothing is raised.
    """
    seen: set[int] = set()
    opened = [(root, 0) for root in reversed(yaml_documents(text))]
    while opened:
        node, depth = opened.pop()
        if id(node) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(node))
        inner = []
        for key, part in node.parts:
            if part.text is None:
                inner.append((part, depth + 1))
            elif key in keys:
                yield part.text
        opened += reversed(inner)


def yaml_documents(text: str) -> list[YamlNode]:
    """The roots of the documents as far as they can be read. A merge key is a key like any other here: what it brings is below it."""
    roots: list[YamlNode] = []
    named: dict[str, YamlNode] = {}
    around: list[YamlNode] = []
    keys: list[str | None] = []
    mappings: list[bool] = []
    count = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                for opened in (around, keys, mappings):
                    opened.pop()
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            count += 1
            if count > MAX_NODES:
                break
            if isinstance(event, yaml.AliasEvent):
                node = named.get(event.anchor or "", YamlNode(""))
            else:
                node = YamlNode(event.value if isinstance(event, yaml.ScalarEvent) else None)
                if event.anchor is not None:
                    named[event.anchor] = node
            if not around:
                roots.append(node)
            elif not mappings[-1]:
                around[-1].parts.append(("", node))
            elif keys[-1] is None:
                keys[-1] = node.text or ""
            else:
                around[-1].parts.append((keys[-1], node))
                keys[-1] = None
            if isinstance(event, yaml.CollectionStartEvent):
                around.append(node)
                keys.append(None)
                mappings.append(isinstance(event, yaml.MappingStartEvent))
    except (yaml.YAMLError, ValueError):
        pass
    return roots
