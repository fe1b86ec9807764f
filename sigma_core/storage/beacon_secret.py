"""The file that holds the secret of the deployment's beacon chain; made on first use, read by its owner only."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from sigma_core.errors import Unavailable
from sigma_core.storage.files import create_private

SCHEMA = "sigma-beacon-secret-v1"


def load_or_create_secret(path: Path, rounds: int) -> bytes:
    """The 32 secret bytes at ``path`` for a chain of ``rounds`` rounds.

    Raises Unavailable when the file cannot be made or read, or is of another length of chain.
    """
    try:
        if not path.exists():
            document = {"schema": SCHEMA, "length": rounds, "secret": secrets.token_hex(32)}
            create_private(path, json.dumps(document).encode())
        document = json.loads(path.read_text(encoding="ascii"))
        secret = bytes.fromhex(document["secret"])
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{path}: the beacon's secret cannot be read ({type(error).__name__})") from None
    if document.get("length") != rounds or len(secret) != 32:
        raise Unavailable(f"{path}: not a beacon secret for {rounds} rounds")
    return secret
