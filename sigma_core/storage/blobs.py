"""Content-addressed blobs: written once under their SHA-256, never changed. Local folder, memory or S3, by URL."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from sigma_core.canonical import sha256_hex
from sigma_core.errors import SigmaError, Unavailable

REMEMBERED_BYTES = 32 << 20
"""What `Blobs.recall` remembers at most: about what a full batch of small packages, their facts and their verdicts takes."""

ReadBlob = Callable[[str], bytes]
"""`Blobs.get` or `Blobs.recall`."""


class BlobMissing(SigmaError):
    """A blob that a record points at is not in the store."""

    code = "BLOB_MISSING"


class BlobCorrupt(SigmaError):
    """A blob whose bytes no longer hash to its name."""

    code = "BLOB_CORRUPT"


class Blobs:
    """``put`` returns the SHA-256 hex that ``get`` takes. Every read is checked against its name. Thread-safe."""

    def __init__(self, url: str, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        self._store = _open_store(url)
        self._remembered: OrderedDict[str, bytes] = OrderedDict()
        self._room = remembered_bytes
        self._lock = threading.Lock()

    def put(self, content: bytes) -> str:
        """Store ``content``, whole or not at all, and return its SHA-256 hex. Storing it again changes nothing.

        Raises Unavailable when the store cannot be written.
        """
        digest = sha256_hex(content)
        try:
            obstore.put(self._store, _key(digest), content, mode="create")
        except AlreadyExistsError:
            pass
        except (OSError, BaseError) as error:
            raise Unavailable(
                f"blob {digest[:12]}… cannot be written: {_reason(error)}",
                hint="check space and permissions of the blob store",
            ) from None
        self._remember(digest, content)
        return digest

    def put_all(self, contents: Iterable[bytes]) -> list[str]:
        """`put` each."""
        return [self.put(content) for content in contents]

    def get(self, digest: str) -> bytes:
        """The bytes whose SHA-256 is ``digest``. Raises BlobMissing, BlobCorrupt or Unavailable."""
        try:
            content = bytes(obstore.get(self._store, _key(digest)).bytes())
        except (FileNotFoundError, ValueError):  # ValueError: no path at all, as a digest never is
            raise BlobMissing(f"blob {digest!r} is not in the store") from None
        except (OSError, BaseError) as error:
            raise Unavailable(
                f"blob {digest[:12]}… cannot be read: {_reason(error)}", hint="check SIGMA_BLOB_URL"
            ) from None
        if sha256_hex(content) != digest:
            raise BlobCorrupt(f"blob {digest} holds other bytes than its name says")
        return content

    def recall(self, digest: str) -> bytes:
        """As `get`, but what this process wrote or recalled lately is not read again: the next stage of a round takes what the one
        before it kept. A check reads the store, or it would not see what has happened to it."""
        with self._lock:
            known = self._remembered.get(digest)
            if known is not None:
                self._remembered.move_to_end(digest)
                return known
        content = self.get(digest)
        self._remember(digest, content)
        return content

    def _remember(self, digest: str, content: bytes) -> None:
        with self._lock:
            self._room += len(self._remembered.pop(digest, b"")) - len(content)
            self._remembered[digest] = content
            while self._room < 0:
                _, oldest = self._remembered.popitem(last=False)
                self._room += len(oldest)

    def size(self, digest: str) -> int:
        """Bytes of a blob, without reading it. Raises BlobMissing or Unavailable."""
        try:
            return int(obstore.head(self._store, _key(digest))["size"])
        except (FileNotFoundError, ValueError):
            raise BlobMissing(f"blob {digest!r} is not in the store") from None
        except (OSError, BaseError) as error:
            raise Unavailable(
                f"blob {digest[:12]}… cannot be read: {_reason(error)}", hint="check SIGMA_BLOB_URL"
            ) from None


def _key(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest}"


def _open_store(url: str) -> ObjectStore:
    scheme, _, place = url.partition("://")
    if scheme == "memory":
        return MemoryStore()
    if scheme == "file" and place.startswith("/"):
        folder = Path(unquote(place))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return LocalStore(folder)
        except (OSError, BaseError) as error:
            reason = error.strerror if isinstance(error, OSError) else _reason(error)
            raise Unavailable(f"blob folder {folder}: {reason}", hint="check SIGMA_BLOB_URL and SIGMA_HOME") from None
    try:
        return from_url(url)
    except (ValueError, BaseError):  # their messages quote the URL, which may hold a key
        raise SigmaError(
            "the blob URL names no store: use file:///folder or s3://bucket/prefix",
            code="SETTINGS_INVALID",
            hint="check SIGMA_BLOB_URL",
        ) from None


def _reason(error: Exception) -> str:
    """The first line: the others are the store library's own debugging output."""
    return str(error).partition("\n")[0]
