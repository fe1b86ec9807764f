"""What a package says of itself: manifest, endpoint tables, hosts and words of its documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared_endpoints import read_endpoints
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.readings import Reading
from sigma_core.sandbox.vocabulary import HostClass, name_set
from sigma_core.submissions.package import Package

_LOCAL_CLAIM = re2.compile(
    r"(?i)\b(?:100 ?% local(?:ly)?\b|(?:documents?|files?|data|notes?|photos?|images?|texts?) never leaves?\b|no (?:network|internet) (?:access|calls?|requests?|connections?)|(?:works?|runs?|operates?) (?:entirely |fully |completely |100% )?(?:offline|locally)|never (?:leaves?|sends? (?:anything|data)|uploads?)|no data (?:is sent|leaves|ever leaves)|nothing (?:leaves|is sent)|without (?:any )?network|network: (?:none|false)|local[- ]only|everything stays (?:on|local))\b"
)
_TITLE = re2.compile(r"(?m)^(?:name:|#)\s*(\S[^\n]{0,120})")
_PROSE_ENDINGS = (".txt", ".rst", ".adoc", ".text", ".example", ".sample", ".tmpl", ".template", ".org")
_NOT_IN_WORDS = str.maketrans({chr(code): " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "-")})
_WORD = re2.compile(r"[a-z0-9][a-z0-9-]{2,}")
_GENERIC_LABELS = name_set(
    "api www app get dev docs cdn raw com org net github githubusercontent example test data cloud server host service services web mail blob storage static files download downloads install"
)


@dataclass(frozen=True)
class DeclaredSurface:
    """Names and claims of the package's own documents, all lower case."""

    manifest: Mapping[str, Any]
    hosts: frozenset[str]
    document_hosts: Mapping[str, frozenset[str]]
    words: frozenset[str]
    title: str
    text: str
    local_claim: str
    endpoints: tuple[Mapping[str, Any], ...]
    network_denied: bool
    unread_documents: tuple[tuple[str, str], ...] = ()
    """OpenAPI documents that could not be read, with the code of the refusal."""

    @cached_property
    def _documents_by_owner(self) -> Mapping[str, Sequence[str]]:
        """The documents that name a host of each owner."""
        paths: dict[str, list[str]] = {}
        for path, hosts in self.document_hosts.items():
            for owner in {vocabulary.registrable(name) for name in hosts}:
                paths.setdefault(owner, []).append(path)
        return paths

    @cached_property
    def _title_words(self) -> frozenset[str]:
        name = str(self.manifest.get("name", "")).lower()
        whole = name.replace("-", "").replace("_", "").replace(" ", "")
        return frozenset({whole, *(word.replace("-", "") for word in _WORD.findall(self.title))})

    def names_host(self, host: str, besides: str = "") -> bool:
        """Whether a document other than ``besides`` (or the manifest) names the host or its owner."""
        return any(path != besides for path in self._documents_by_owner.get(vocabulary.registrable(host), ()))

    def names_owner(self, host: str, *, title_only: bool = False) -> bool:
        """Whether the host's own label is a word of the package's name or description (or, by default, of its documents)."""
        labels = [
            label
            for label in vocabulary.registrable(host).split(".")[:-1]
            if len(label) >= 3 and label not in _GENERIC_LABELS
        ]
        return any(
            label.replace("-", "") in self._title_words or (not title_only and label in self.words) for label in labels
        )

    def trusts(self, host: str, besides: str = "") -> bool:
        """Whether code may talk to ``host`` without surprising anyone: known everywhere, on this machine, or spoken of by a document other than ``besides``."""
        known = vocabulary.classify_host(host)
        if known in {HostClass.UNKNOWN, HostClass.RESERVED}:
            return self.names_host(host, besides) or self.names_owner(host, title_only=besides in self.document_hosts)
        return known in {HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER}


def _text_values(value: Any, depth: int = 0) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif depth < 6 and isinstance(value, Mapping):
        for item in value.values():
            yield from _text_values(item, depth + 1)
    elif depth < 6 and isinstance(value, list | tuple):
        for item in value:
            yield from _text_values(item, depth + 1)


def _is_document(reading: Reading) -> bool:
    """Whether people read the file: Markdown, and plain text that is not some program's own file."""
    name = reading.path.rpartition("/")[2].lower()
    prose = reading.kind is FileKind.MARKDOWN or (
        reading.kind is FileKind.TEXT
        and name.endswith(_PROSE_ENDINGS if "." in name else "")
        and not name.startswith((".", "requirements", "constraints"))
        and "hooks/" not in reading.path
    )
    return prose and bool(reading.text)


def read_declared(package: Package, readings: Sequence[Reading]) -> DeclaredSurface:
    """The declared surface of ``package``: its manifest, and the Markdown and text files that were read."""
    manifest = package.manifest
    title_parts = [str(manifest.get(key, "")) for key in ("name", "description", "homepage", "author", "repository")]
    metadata = manifest.get("metadata")
    title_parts += [text for text in _text_values(metadata if isinstance(metadata, Mapping) else {}) if len(text) < 300]
    if not manifest.get("name"):
        title_parts += [
            match.group(1)
            for reading in readings
            if reading.path.lower() == "skill.md" and (match := _TITLE.search(reading.text))
        ]
    texts: list[str] = []
    document_hosts: dict[str, frozenset[str]] = {}
    manifest_text = " ".join(_text_values({key: value for key, value in manifest.items() if key != "metadata"}))
    document_hosts["(manifest)"] = frozenset(host for _, _, _, host in vocabulary.urls_in(manifest_text)) | frozenset(
        vocabulary.bare_hosts_in(manifest_text)
    )
    for reading in readings:
        if not _is_document(reading):
            continue
        text = reading.text
        texts.append(text.lower())
        document_hosts[reading.path] = frozenset(
            host for _, host, at, hidden in reading.urls if not hidden and not at.layer
        ) | frozenset(vocabulary.bare_hosts_in(text))
    endpoints, servers, unread = read_endpoints(
        package, [reading for reading in readings if _is_document(reading)], readings
    )
    for file, urls in servers.items():
        document_hosts[file] = frozenset(host for url in urls for _, _, _, host in vocabulary.urls_in(url))
    text = "\n".join(texts)
    skill = next((reading.text for reading in readings if reading.path == "SKILL.md"), "")
    claim = _LOCAL_CLAIM.search(skill)
    safety = manifest.get("safety")
    network = safety.get("network") if isinstance(safety, Mapping) else None
    return DeclaredSurface(
        manifest=manifest,
        hosts=frozenset().union(*document_hosts.values()),
        document_hosts=document_hosts,
        words=frozenset(word for word in text.translate(_NOT_IN_WORDS).split() if len(word) >= 3),
        title=" ".join(title_parts).lower(),
        text=text,
        local_claim=claim.group()[:120] if claim else "",
        endpoints=tuple(endpoint.as_json() for endpoint in endpoints),
        unread_documents=tuple(sorted(unread.items())),
        network_denied=network is False
        or (isinstance(network, str) and network.lower() in {"none", "false", "no", "denied", "deny"}),
    )
