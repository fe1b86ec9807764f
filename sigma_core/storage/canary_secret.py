"""The file that holds the secret by which canary packages are drawn; made on first use, read by its owner only."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from sigma_core.errors import Unavailable
from sigma_core.storage.files import create_private

SCHEMA = "sigma-canary-secret-v1"


def load_or_create_canary_secret(path: Path) -> bytes:
    """The 32 secret bytes at ``path``. Raises Unavailable when the file cannot be made or read."""
    try:
        if not path.exists():
            create_private(path, json.dumps({"schema": SCHEMA, "secret": secrets.token_hex(32)}).encode())
        secret = bytes.fromhex(json.loads(path.read_text(encoding="ascii"))["secret"])
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", hint="check SIGMA_HOME and its permissions") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{path}: the canary secret cannot be read ({type(error).__name__})") from None
    if len(secret) != 32:
        raise Unavailable(f"{path}: not a canary secret")
    return secret
