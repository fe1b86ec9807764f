"""The issuer's own keys: private ones in files beside each other, and the key set in which their public halves are published.

The key set says when each key may sign; a private key is found by its public half. So a rotation is one change of one file. A certificate
key's time ends where the next one's begins, at an instant that still lies ahead when the file is written. Log keys overlap: for a
while both sign every checkpoint, so that whoever holds the old key only has the time to fetch the new one.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sigma_core.certificates.keyset import KeySet, LogKey, TrustedKey, key_id_of
from sigma_core.certificates.private_keys import PrivateKeys
from sigma_core.certificates.signing_key import KeyFileError, SigningKey
from sigma_core.storage.files import write_whole

OVERLAP = timedelta(minutes=1)
"""How far ahead a rotation lies: longer than anybody holds on to a key between reading the key set and signing."""


class IssuerKeys:
    """Private keys at ``first_key`` and its successors beside it, the log's at ``first_log_key``, the key set at ``key_set``."""

    def __init__(self, first_key: Path, first_log_key: Path, key_set: Path, origin: str) -> None:
        self._first_key = first_key
        self._certificate_keys = PrivateKeys(first_key)
        self._log_keys = PrivateKeys(first_log_key)
        self._key_set = key_set
        self._origin = origin
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int, int], KeySet] | None = None

    def log_keys_at(self, moment: datetime) -> tuple[SigningKey, ...]:
        """The private keys that sign a checkpoint at ``moment``, the one that stays first. Raises KeyFileError when none is here."""
        signing = [(key, private) for key, private in self._own_log_keys(self.published()) if key.in_use_at(moment)]
        if not signing:
            raise self._none_in_use()
        return tuple(private for key, private in sorted(signing, key=lambda pair: pair[0].valid_until is not None))

    @property
    def log_origin(self) -> str:
        """The name under which the log's keys are published."""
        return self._own_log_keys(self.published())[0][0].name

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
                found = self._certificate_keys.find(key.key_id)
                if found is not None:
                    return found
        raise self._none_in_use()

    def rotate(self, now: datetime) -> TrustedKey:
        """A new key that takes over `OVERLAP` after ``now``, published at once; returns it.

        A rotation that is still ahead is returned as it is. Private keys whose time is over are destroyed: nobody can use them
        to date a certificate back, and their public halves go on vouching for what they signed.
        """
        current = self.published()
        ahead = [key for key in current.by_id.values() if key.valid_until is None and key.valid_from > now]
        if ahead:
            return ahead[0]
        takes_over = now + OVERLAP
        fresh = TrustedKey(self._certificate_keys.successor().public_key, valid_from=takes_over)
        kept = [
            TrustedKey(key.public_key, key.valid_from, takes_over if key.valid_until is None else key.valid_until)
            for key in current.by_id.values()
        ]
        write_whole(self._key_set, KeySet([*kept, fresh], logs=current.logs, witnesses=current.witnesses).to_bytes())
        over = {key.key_id for key in kept if key.valid_until is not None and key.valid_until + OVERLAP <= now}
        self._certificate_keys.destroy(over)
        return fresh

    def rotate_log_key(self, now: datetime, overlap: timedelta) -> LogKey:
        """A new log key, published at once, which signs alone from ``overlap`` after ``now`` on; returns it.

        While an overlap runs its rotation is returned as it is. Private keys whose time is over are destroyed.
        """
        current = self.published()
        own = [key for key, _ in self._own_log_keys(current)]
        if any(key.valid_until is not None and now < key.valid_until for key in own):
            return next(key for key in own if key.valid_until is None)
        fresh = LogKey(own[0].name, self._log_keys.successor().public_key)
        ends = now + max(overlap, OVERLAP)
        logs = [
            LogKey(key.name, key.public_key, ends) if key in own and key.valid_until is None else key
            for key in current.logs
        ]
        write_whole(
            self._key_set, KeySet(current.by_id.values(), logs=[*logs, fresh], witnesses=current.witnesses).to_bytes()
        )
        self._log_keys.destroy({key_id_of(key.public_key) for key in own if key.valid_until is not None})
        return fresh

    def _complete(self) -> None:
        """Make the key set, or add the log's key to one that has not got it."""
        if not self._key_set.exists():
            first = self._certificate_keys.first()
            made = datetime.fromtimestamp(int(self._first_key.stat().st_mtime), UTC)
            keys, logs = [TrustedKey(first.public_key, valid_from=made)], [self._first_log_key()]
            write_whole(self._key_set, KeySet(keys, logs=logs).to_bytes())
            return
        current = KeySet.parse(self._key_set.read_bytes())
        if not self._own_log_keys(current):
            logs = [*current.logs, self._first_log_key()]
            completed = KeySet(current.by_id.values(), logs=logs, witnesses=current.witnesses)
            write_whole(self._key_set, completed.to_bytes())

    def _none_in_use(self) -> KeyFileError:
        return KeyFileError(
            f"{self._first_key.parent}: no private key of a published key that is in use",
            code="KEY_FILE_UNAVAILABLE",
            hint=f"restore the key, or check {self._key_set.name}",
        )

    def _first_log_key(self) -> LogKey:
        return LogKey(self._origin, self._log_keys.first().public_key)

    def _own_log_keys(self, key_set: KeySet) -> list[tuple[LogKey, SigningKey]]:
        """The published log keys whose private halves are here."""
        found = [(key, self._log_keys.find(key_id_of(key.public_key))) for key in key_set.logs]
        return [(key, private) for key, private in found if private is not None]

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._key_set.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
