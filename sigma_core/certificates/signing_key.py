"""The deployment's signing key: an Ed25519 key in a PEM PKCS #8 file that only its owner can read, made on first use.

The key never leaves `SigningKey`: no repr, no pickle, no log line shows it.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from sigma_core.certificates.keyset import key_id_of
from sigma_core.errors import ExitCode, SigmaError

MAX_KEY_FILE_BYTES = 4096


class KeyFileError(SigmaError):
    """A key file that is unsafe (``KEY_FILE_UNSAFE``), not a key (``KEY_FILE_INVALID``) or that cannot be read or made
    (``KEY_FILE_UNAVAILABLE``); names the file and the rule."""

    code = "KEY_FILE_INVALID"


class SigningKey:
    """An Ed25519 private key that signs and shows nothing but its id."""

    __slots__ = ("_private", "key_id", "public_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key: Ed25519PublicKey = private.public_key()
        self.key_id: str = key_id_of(self.public_key)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not serialised")

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of ``message``."""
        return self._private.sign(message)


def load_or_create_signing_key(path: Path) -> SigningKey:
    """The key at ``path``; made there, with its folder, if nothing is.

    Several processes may race to make it: one wins, all get the winner's key. A crash leaves a whole key or none.
    Raises KeyFileError, and never repairs: a file or folder that others can write or read is for the operator to
    look at.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path.parent)
        try:
            return _load(path)
        except FileNotFoundError:
            _create(path)
            return _load(path)
    except OSError as error:
        raise _unavailable(path, error) from None


def load_signing_key(path: Path) -> SigningKey:
    """The key at ``path``. Raises KeyFileError."""
    try:
        _check_folder(path.parent)
        return _load(path)
    except OSError as error:
        raise _unavailable(path, error) from None


def _unavailable(path: Path, error: OSError) -> KeyFileError:
    failure = KeyFileError(f"{path}: {error.strerror or error}", code="KEY_FILE_UNAVAILABLE")
    failure.exit_code = ExitCode.UNAVAILABLE
    return failure


def _unsafe(path: Path, rule: str, hint: str = "") -> KeyFileError:
    return KeyFileError(f"{path}: {rule}", code="KEY_FILE_UNSAFE", hint=hint)


def _check_folder(folder: Path) -> None:
    """Whoever can write to the folder can put another key into it."""
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise _unsafe(folder, "the folder of a signing key must belong to the user who runs SIGMA, or to root")
    if status.st_mode & 0o022:
        raise _unsafe(folder, "the folder of a signing key must not be writable by others", f"chmod 700 {folder}")


def _load(path: Path) -> SigningKey:
    # O_NONBLOCK: a fifo in the key's place must not hang us before we can look at it.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise _unsafe(path, "a signing key must be a regular file, not a symbolic link") from None
        raise
    try:
        _check_file(path, os.fstat(descriptor))
        pem = os.read(descriptor, MAX_KEY_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"{path}: more than {MAX_KEY_FILE_BYTES} bytes, so not a signing key")
    return _parse(pem, path)


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unsafe(path, "a signing key must be a regular file")
    if status.st_uid != os.geteuid():
        raise _unsafe(path, "a signing key must belong to the user who runs SIGMA")
    if status.st_mode & 0o077:
        raise _unsafe(path, "a signing key must not be accessible to group or others", f"chmod 600 {path}")


def _parse(pem: bytes, path: Path) -> SigningKey:
    try:
        private = load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeyFileError(f"{path}: the key is encrypted; an unencrypted PKCS #8 key is expected") from None
    except (ValueError, UnsupportedAlgorithm):
        # The parser's own message may quote the file; ours never does.
        raise KeyFileError(f"{path}: not a private key in PEM PKCS #8 form") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key")
    return SigningKey(private)


def _create(path: Path) -> None:
    """Write a new key beside ``path``, then link it into place: unlike a rename, that never replaces another's key."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask made of it
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
