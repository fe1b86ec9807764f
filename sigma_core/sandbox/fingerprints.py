"""What makes one JSON fact the same fact again: in the same bytes, or in the next version of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigma_core.canonical import sha256_of

_IN_TREE = ("ruleId", "file", "layer", "subject", "byteStart", "byteEnd", "context")
_IN_PLACE = ("ruleId", "file", "layer", "subject", "excerpt")


def in_tree(fact: Mapping[str, Any], tree_hash: str) -> str:
    """SHA-256 hex that names the fact within exactly the bytes of ``tree_hash``."""
    return sha256_of({"tree": tree_hash, **{key: fact[key] for key in _IN_TREE}})


def in_place(fact: Mapping[str, Any]) -> str:
    """SHA-256 hex that stays while the fact's own line stays, whatever else in the package changes."""
    return sha256_of({key: fact[key] for key in _IN_PLACE})
