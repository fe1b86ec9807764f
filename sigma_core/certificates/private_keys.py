"""Private keys of one purpose in files beside each other: the first, and those that took over from it, found by their public half."""

from __future__ import annotations

from pathlib import Path

from sigma_core.certificates.signing_key import SigningKey, load_or_create_signing_key, load_signing_key

MAX_KEY_FILES = 64


class PrivateKeys:
    """``first`` is the file of the first key; a successor is in ``<stem>-<16 hex digits of its id>.pem``. Raises KeyFileError."""

    def __init__(self, first: Path) -> None:
        self._first = first
        self._loaded: dict[str, SigningKey] = {}

    def first(self) -> SigningKey:
        """The first key; made if there is none."""
        return load_or_create_signing_key(self._first)

    def find(self, key_id: str) -> SigningKey | None:
        """The key of this id, if it is here."""
        if key_id not in self._loaded:
            self._loaded |= {key.key_id: key for key in map(load_signing_key, self._files())}
        return self._loaded.get(key_id)

    def successor(self) -> SigningKey:
        """A new key in a file of its own, not yet anybody's; one that an attempt before this left is taken up."""
        draft = self._first.with_name(f"{self._first.stem}-next.pem")
        key = load_or_create_signing_key(draft)
        draft.replace(self._first.with_name(f"{self._first.stem}-{key.key_id[:16]}.pem"))
        return key

    def destroy(self, key_ids: set[str]) -> None:
        """Remove the files of these keys."""
        for path in self._files():
            if load_signing_key(path).key_id in key_ids:
                path.unlink()
        for key_id in key_ids:
            self._loaded.pop(key_id, None)

    def _files(self) -> list[Path]:
        first = self._first
        return sorted([first] * first.exists() + list(first.parent.glob(f"{first.stem}-*.pem")))[:MAX_KEY_FILES]
