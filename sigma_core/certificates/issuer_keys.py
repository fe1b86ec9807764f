"""The issuer's own keys: private ones in files beside each other, and the key set in which their public halves are published.

The key set says when each key may sign; a private key is found by its public half. So a rotation is one change of one file: the old
key's time ends, and the new one's begins, at an instant that still lies ahead when the file is written.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.signing_key import (
    KeyFileError,
    SigningKey,
    load_or_create_signing_key,
    load_signing_key,
)
from sigma_core.storage.files import write_whole

OVERLAP = timedelta(minutes=1)
"""How far ahead a rotation lies: longer than anybody holds on to a key between reading the key set and signing."""

MAX_KEY_FILES = 64


class IssuerKeys:
    """Private keys at ``first_key`` and its successors beside it, the log's at ``log_key_file``, the key set at ``key_set``."""

    def __init__(self, first_key: Path, log_key_file: Path, key_set: Path, origin: str) -> None:
        self._first_key = first_key
        self._log_key_file = log_key_file
        self._key_set = key_set
        self._origin = origin
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int, int], KeySet] | None = None
        self._private: dict[str, SigningKey] = {}

    @cached_property
    def log_key(self) -> SigningKey:
        """The log's key; made on first use."""
        return load_or_create_signing_key(self._log_key_file)

    @property
    def log_origin(self) -> str:
        """The name under which the log's key is published."""
        return self._published_name(self.published())

    def published(self) -> KeySet:
        """The key set; made on first use with the first key, in use since its own file was made, and with the log's key."""
        with self._lock:
            known = self._stamp()
            if known is None or self._read is None or self._read[0] != known:
                self._complete()
                stamp = self._stamp()
                assert stamp is not None
                self._read = (stamp, KeySet.parse(self._key_set.read_bytes()))
            return self._read[1]

    def signing_key_at(self, moment: datetime) -> SigningKey:
        """The private key that may sign what is dated ``moment``. Raises KeyFileError when it is not here."""
        for key in self.published().by_id.values():
            if key.in_use_at(moment):
                found = self._private_key(key.key_id)
                if found is not None:
                    return found
        raise KeyFileError(
            f"{self._first_key.parent}: no private key of a published key that is in use",
            code="KEY_FILE_UNAVAILABLE",
            hint=f"restore the key, or check {self._key_set.name}",
        )

    def rotate(self, now: datetime) -> TrustedKey:
        """A new key that takes over `OVERLAP` after ``now``, published at once; returns it.

        A rotation that is still ahead is returned as it is. Private keys whose time is over are destroyed: nobody can use them
        to date a certificate back, and their public halves go on vouching for what they signed.
        """
        current = self.published()
        ahead = [key for key in current.by_id.values() if key.valid_until is None and key.valid_from > now]
        if ahead:
            return ahead[0]
        draft = load_or_create_signing_key(self._first_key.with_name(f"{self._first_key.stem}-next.pem"))
        takes_over = now + OVERLAP
        fresh = TrustedKey(draft.public_key, valid_from=takes_over)
        kept = [
            TrustedKey(key.public_key, key.valid_from, takes_over if key.valid_until is None else key.valid_until)
            for key in current.by_id.values()
        ]
        path = self._first_key.with_name(f"{self._first_key.stem}-{fresh.key_id[:16]}.pem")
        self._first_key.with_name(f"{self._first_key.stem}-next.pem").replace(path)
        write_whole(self._key_set, KeySet([*kept, fresh], logs=current.logs, witnesses=current.witnesses).to_bytes())
        self._destroy_retired(kept, now)
        return fresh

    def _destroy_retired(self, keys: list[TrustedKey], now: datetime) -> None:
        retired = {key.key_id for key in keys if key.valid_until is not None and key.valid_until + OVERLAP <= now}
        for path in self._key_files():
            if load_signing_key(path).key_id in retired:
                path.unlink()
        for key_id in retired:
            self._private.pop(key_id, None)

    def _complete(self) -> None:
        """Make the key set, or add the log's key to one that has not got it."""
        name = NoteKey(self._origin, self.log_key.public_key)
        if not self._key_set.exists():
            first = load_or_create_signing_key(self._first_key)
            made = datetime.fromtimestamp(int(self._first_key.stat().st_mtime), UTC)
            write_whole(self._key_set, KeySet([TrustedKey(first.public_key, valid_from=made)], logs=[name]).to_bytes())
            return
        current = KeySet.parse(self._key_set.read_bytes())
        if not self._published_name(current):
            completed = KeySet(current.by_id.values(), logs=[*current.logs, name], witnesses=current.witnesses)
            write_whole(self._key_set, completed.to_bytes())

    def _published_name(self, key_set: KeySet) -> str:
        own = self.log_key.public_key.public_bytes_raw()
        return next((key.name for key in key_set.logs if key.public_key.public_bytes_raw() == own), "")

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._key_set.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _private_key(self, key_id: str) -> SigningKey | None:
        if key_id not in self._private:
            for path in self._key_files():
                key = load_signing_key(path)
                self._private[key.key_id] = key
        return self._private.get(key_id)

    def _key_files(self) -> list[Path]:
        first = self._first_key
        return sorted([first] * first.exists() + list(first.parent.glob(f"{first.stem}-*.pem")))[:MAX_KEY_FILES]
