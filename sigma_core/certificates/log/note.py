"""Signed notes: a text, a blank line, and one signature line for each key.

Format: c2sp.org/signed-note, Ed25519 signatures (type 1). Signatures of keys that one does not know are ignored, so that
witnesses may add theirs; one of a key that one does know must be right.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.refusals import shown
from sigma_core.certificates.signing_key import SigningKey

ED25519 = b"\x01"
KEY_ID_BYTES = 4
MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 64
