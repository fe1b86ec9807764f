"""``sigma replay``: recompute a round from its public document, from this deployment or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sigma_core.config import Settings
from sigma_core.lifecycle.replay import Replayed, public_document, replay_kept_round, replay_public_document
from sigma_core.storage.files import write_whole

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024


def replay_round(settings: Settings, identifier: str, *, out: Path | None) -> dict[str, Any]:
    """``{roundId, agrees, differences[], unchecked[]}``. Raises RoundUnknown, or SigmaError for a file that is no document."""
    path = Path(identifier)
    if path.is_file():
        with path.open("rb") as file:
            replayed = replay_public_document(file.read(MAX_DOCUMENT_BYTES))
    else:
        replayed = _kept(settings, identifier, out)
    return {
        "roundId": replayed.round_id,
        "agrees": not replayed.differences,
        "differences": list(replayed.differences),
        "unchecked": list(replayed.unchecked),
    }


def _kept(settings: Settings, identifier: str, out: Path | None) -> Replayed:
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.report import find_round

    deployment = open_deployment(settings)
    if out is not None:
        write_whole(out, public_document(deployment, find_round(deployment, identifier)))
    return replay_kept_round(deployment, identifier)
