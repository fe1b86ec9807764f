"""What a developer wrote and a certificate publishes for ever: the declared manifest and the notes, without the secrets left in them.

File names stay as they are, because the tree hash follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sigma_core.certificates.payload_shape import MAX_TEXT
from sigma_core.sandbox.byte_text import text_of
from sigma_core.sandbox.secrets import Redactor, find_secrets
from sigma_core.submissions.package import Package

_SEALED = ("safety", "capabilities", "externalCalls")
_UNDER_A_NAME = 'auth_token="'
"""``auth`` is a field for the kind of authentication; a key in its place is one by the name that it stands under."""


@dataclass(frozen=True, slots=True)
class PublishedTexts:
    """``manifest`` is ``{safety, capabilities, externalCalls}`` in the shape in which intake read them."""

    manifest: dict[str, Any]
    dev_notes: str
    smart_contract: Any


def published_texts(package: Package, dev_notes: str, smart_contract: Any = None) -> PublishedTexts:
    """The texts of a submission as they may be sealed: every secret-shaped value, and every secret that stands in a file
    of the package or in another of these texts, replaced by its length."""
    manifest = {name: package.manifest[name] for name in _SEALED}
    keys = [auth for call in manifest["externalCalls"] if _is_key(auth := call.get("auth"))]
    texts = [*_file_texts(package), *_texts(manifest), *_texts(smart_contract), dev_notes]
    found = [text[secret.start : secret.end] for text in texts for secret in find_secrets(text)]
    redactor = Redactor([*keys, *found])
    return PublishedTexts(redactor.data(manifest), redactor.text(dev_notes)[:MAX_TEXT], redactor.data(smart_contract))


def _is_key(auth: Any) -> bool:
    return isinstance(auth, str) and any(secret.live for secret in find_secrets(f'{_UNDER_A_NAME}{auth}"'))


def _file_texts(package: Package) -> Iterator[str]:
    for file in package.files:
        decoded = text_of(file.content)
        if decoded is not None:
            yield decoded[0]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
