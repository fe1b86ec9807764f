"""Content-addressed blobs: written once under their SHA-256, never changed. Local folder, memory or S3, by URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from sigma_core.canonical import sha256_hex
from sigma_core.errors import SigmaError, Unavailable


class BlobMissing(SigmaError):
    """A blob that a record points at is not in the store."""

    code = "BLOB_MISSING"


class BlobCorrupt(SigmaError):
    """A blob whose bytes no longer hash to its name."""

    code = "BLOB_CORRUPT"


class Blobs:
    """``put`` returns the SHA-256 hex that ``get`` takes. Every read is checked against its name."""

    def __init__(self, url: str) -> None:
        parsed = urlparse(url)
        self._store: ObjectStore
        try:
            if parsed.scheme == "memory":
                self._store = MemoryStore()
            elif parsed.scheme == "file":
                folder = Path(unquote(parsed.path))
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store = LocalStore(folder)
            else:
                self._store = from_url(url)
        except (OSError, BaseError) as error:
            raise Unavailable(f"blob store {parsed.scheme}: {error}", hint="check SIGMA_BLOB_URL") from None
        # Writing what this process has already written costs a round trip for nothing.
        self._written: set[str] = set()

    @staticmethod
    def _key(digest: str) -> str:
        return f"sha256/{digest[:2]}/{digest}"

    def put(self, content: bytes) -> str:
        """Store ``content`` (idempotent) and return its SHA-256 hex. Raises Unavailable when the store cannot be written."""
        digest = sha256_hex(content)
        if digest in self._written:
            return digest
        try:
            obstore.put(self._store, self._key(digest), content, mode="create")
        except AlreadyExistsError:
            pass
        except (OSError, BaseError) as error:
            raise Unavailable(
                f"blob {digest[:12]}… cannot be written: {error}", hint="check space and permissions of the blob store"
            ) from None
        self._written.add(digest)
        return digest

    def put_all(self, contents: Iterable[bytes]) -> list[str]:
        """`put` each."""
        return [self.put(content) for content in contents]

    def get(self, digest: str) -> bytes:
        """The bytes whose SHA-256 is ``digest``. Raises BlobMissing, BlobCorrupt or Unavailable."""
        try:
            content = bytes(obstore.get(self._store, self._key(digest)).bytes())
        except (FileNotFoundError, NotFoundError):
            raise BlobMissing(f"blob {digest} is not in the store") from None
        except (OSError, BaseError) as error:
            raise Unavailable(f"blob {digest[:12]}… cannot be read: {error}") from None
        if sha256_hex(content) != digest:
            raise BlobCorrupt(f"blob {digest} holds other bytes than its name says")
        return content
