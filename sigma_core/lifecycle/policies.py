"""Policies that shaped something here, by their hash: a round keeps to the one that it was opened under."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.policy import Policy


def policy_document(deployment: Deployment, policy_hash: str) -> dict[str, Any]:
    """The policy as it was kept: what the hash covers. Raises BlobMissing or BlobCorrupt."""
    kept = deployment.policy
    content = kept.canonical_bytes if policy_hash == kept.hash else deployment.blobs.get(policy_hash)
    document: dict[str, Any] = json.loads(content)
    return document


def policy_of(deployment: Deployment, policy_hash: str) -> Policy:
    """The policy with this hash, with defaults for what came after it. Raises BlobMissing or BlobCorrupt."""
    if policy_hash == deployment.policy.hash:
        return deployment.policy
    return _parsed(canonical_json(policy_document(deployment, policy_hash)))


@lru_cache(maxsize=8)
def _parsed(content: bytes) -> Policy:
    return Policy.model_validate_json(content)
