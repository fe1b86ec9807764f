"""``sigma replay``: recompute a round from its public document, from this deployment or from a file; a file also beside the public
document of its weights epoch and the certificate that came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.certificates import trusted_keys
from sigma_core.config import Settings
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.replay import Replayed, certified, public_document, replay_kept_round, replay_public_document
from sigma_core.storage.files import write_whole

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024


def replay_round(
    settings: Settings,
    identifier: str,
    *,
    out: Path | None = None,
    epoch: Path | None = None,
    certificate: Path | None = None,
    keys: Path | None = None,
) -> dict[str, Any]:
    """``{roundId, agrees, differences[], unchecked[]}``. Raises RoundUnknown, SigmaError for a file that is no document or options that do
    not go together, VerificationError for a certificate that ``keys`` did not sign."""
    path = Path(identifier)
    if path.is_file():
        if out is not None:
            raise SigmaError("--out: the replay document is that file already", code="USAGE")
        replayed = replay_public_document(
            _content(path),
            published=[certified(_content(certificate), trusted_keys(settings, keys))] if certificate else [],
            epoch=_content(epoch) if epoch else None,
        )
    elif epoch is not None or certificate is not None:
        raise SigmaError(
            f"{identifier}: --epoch and --certificate go with a replay document in a file; a round of this deployment is held "
            "against its own",
            code="USAGE",
        )
    else:
        replayed = _kept(settings, identifier, out)
    return {
        "roundId": replayed.round_id,
        "agrees": not replayed.differences,
        "differences": list(replayed.differences),
        "unchecked": list(replayed.unchecked),
    }


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_DOCUMENT_BYTES)


def _kept(settings: Settings, identifier: str, out: Path | None) -> Replayed:
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.report import find_round

    deployment = open_deployment(settings)
    if out is not None:
        write_whole(out, public_document(deployment, find_round(deployment, identifier)))
    return replay_kept_round(deployment, identifier)
