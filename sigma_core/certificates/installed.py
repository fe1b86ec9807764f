"""Skills as agents have them installed: where they lie, which certificate is theirs, and what that says of them now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sigma_core.certificates.bundle import MAX_BUNDLE_BYTES
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.refusals import DriftError, Refusal, VerificationError
from sigma_core.certificates.status_list import PURPOSES, list_uri
from sigma_core.certificates.verify import open_bundle, verify_bundle
from sigma_core.errors import SigmaError
from sigma_core.submissions.package import Package, is_skill_file

AGENT_FOLDERS = (
    ".claude/skills",
    ".claude/plugins",
    ".codex/skills",
    ".agents/skills",
    ".config/agents/skills",
    ".cursor/skills",
    ".gemini/skills",
    ".copilot/skills",
    ".github/skills",
    ".config/opencode/skill",
    ".config/opencode/skills",
    ".opencode/skills",
    ".config/goose/skills",
    ".goose/skills",
    ".openclaw/skills",
    ".codeium/windsurf/skills",
    ".windsurf/skills",
    ".kiro/skills",
    ".roo/skills",
    ".factory/skills",
)
"""Where agents look for skills, in a home or in a project."""

BUNDLE_SUFFIX = ".sigma.json"
MAX_DEPTH = 8
MAX_FOLDERS = 50_000
MAX_BUNDLES = 20_000


class InstalledState(StrEnum):
    """What is known of an installed skill."""

    CERTIFIED = "CERTIFIED"
    DRIFTED = "DRIFTED"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"
    """It has a certificate that does not hold for another reason; the code says which."""
    UNCERTIFIED = "UNCERTIFIED"
    UNREADABLE = "UNREADABLE"
    """Not a package that can be certified: the code says why."""


_STATE_OF = {
    Refusal.DRIFT: InstalledState.DRIFTED,
    Refusal.SUSPENDED: InstalledState.SUSPENDED,
    Refusal.REVOKED: InstalledState.REVOKED,
    Refusal.EXPIRED: InstalledState.EXPIRED,
}


def status_list_uris(payload: Payload) -> tuple[str, ...]:
    """The addresses of the status lists that a certificate names."""
    entry = payload.status_list
    return () if entry is None else tuple(list_uri(entry.uri, status) for status in PURPOSES)


def lists_about(uris: Sequence[str], lists: Mapping[str, bytes]) -> list[bytes]:
    """Those of ``lists`` that are at ``uris``: all of them or, as one alone would not clear a certificate, none."""
    return [lists[uri] for uri in uris] if lists.keys() >= set(uris) else []


@dataclass(frozen=True, slots=True)
class KeptBundle:
    """A bundle at hand that a trusted key signed, with what finds it again."""

    data: bytes = field(repr=False)
    certificate_id: str
    skill_name: str
    skill_hash: str | None
    tree_hash: str
    issued_at: datetime
    status_list_uris: tuple[str, ...]

    @classmethod
    def of(cls, data: bytes, payload: Payload) -> KeptBundle:
        """The bundle ``data``, whose payload this is."""
        sealed = payload.document
        return cls(
            data,
            payload.certificate_id,
            sealed["skillName"],
            sealed["skillHash"],
            sealed["treeHash"],
            payload.issued_at,
            status_list_uris(payload),
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """A skill folder and what is known of it; ``code`` and ``detail`` explain every state but CERTIFIED."""

    path: str
    state: InstalledState
    name: str | None = None
    skill_hash: str | None = None
    certificate_id: str | None = None
    code: str | None = None
    detail: str | None = None
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """camelCase JSON data."""
        return {
            "path": self.path,
            "state": self.state.value,
            "name": self.name,
            "skillHash": self.skill_hash,
            "certificateId": self.certificate_id,
            "code": self.code,
            "detail": self.detail,
            "changed": list(self.changed),
            "added": list(self.added),
            "removed": list(self.removed),
        }


def agent_folders(*roots: Path) -> list[Path]:
    """Those of `AGENT_FOLDERS` that exist under ``roots``, each once."""
    found = {path.resolve(): path for root in roots for name in AGENT_FOLDERS if (path := root / name).is_dir()}
    return list(found.values())


def skill_folders(root: Path) -> Iterator[Path]:
    """Folders at or under ``root`` that hold a SKILL.md, in order of name; what is inside such a folder is part of that skill.

    Links to folders are followed, each folder is entered once, and depth and number are bounded.
    """
    waiting = [(root, 0)]
    seen: set[tuple[int, int]] = set()
    while waiting and len(seen) < MAX_FOLDERS:
        folder, depth = waiting.pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if any(is_skill_file(entry.name) for entry in entries):
            yield folder
        elif depth < MAX_DEPTH:
            inner = [entry for entry in entries if entry.name not in (".git", "node_modules") and _is_folder(entry)]
            waiting.extend((folder / entry.name, depth + 1) for entry in reversed(inner))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def read_bundles(folders: Iterable[Path], trusted_keys: KeySet) -> list[KeptBundle]:
    """The bundles in files ``*.sigma.json`` directly in ``folders``; what no trusted key signed is no bundle."""
    kept: list[KeptBundle] = []
    for folder in folders:
        for path in sorted(folder.glob(f"*{BUNDLE_SUFFIX}"))[:MAX_BUNDLES]:
            try:
                with path.open("rb") as file:
                    data = file.read(MAX_BUNDLE_BYTES + 1)
                kept.append(KeptBundle.of(data, open_bundle(data, trusted_keys).payload))
            except (OSError, VerificationError):
                continue
    return kept


def certificate_of(package: Package, bundles: Sequence[KeptBundle]) -> KeptBundle | None:
    """The bundle that is about ``package``: by all its files, else by its SKILL.md, else by its name; the newest of several."""
    name = package.manifest.get("name") or package.source_name

    def likeness(bundle: KeptBundle) -> int:
        if bundle.tree_hash == package.tree_hash:
            return 3
        if bundle.skill_hash is not None and bundle.skill_hash == package.skill_hash:
            return 2
        return int(bundle.skill_name == name)

    best = max(bundles, key=lambda bundle: (likeness(bundle), bundle.issued_at, bundle.certificate_id), default=None)
    return best if best is not None and likeness(best) else None


def installed_state(
    path: str,
    package: Package | SigmaError,
    bundles: Sequence[KeptBundle],
    trusted_keys: KeySet,
    *,
    at: datetime,
    status_lists: Mapping[str, bytes] | None = None,
) -> Installed:
    """What is known of the skill at ``path``, which was read as ``package`` or not at all; ``status_lists`` by their address."""
    if isinstance(package, SigmaError):
        return Installed(path, InstalledState.UNREADABLE, code=package.code, detail=package.message)
    name = package.manifest.get("name") or package.source_name
    bundle = certificate_of(package, bundles)
    if bundle is None:
        return Installed(path, InstalledState.UNCERTIFIED, name, package.skill_hash)
    try:
        lists = lists_about(bundle.status_list_uris, status_lists or {})
        verify_bundle(bundle.data, trusted_keys, at=at, package=package, status_lists=lists)
    except DriftError as drift:
        return Installed(
            path,
            InstalledState.DRIFTED,
            name,
            package.skill_hash,
            bundle.certificate_id,
            drift.code,
            drift.message,
            drift.changed,
            drift.added,
            drift.removed,
        )
    except VerificationError as error:
        state = _STATE_OF.get(error.refusal, InstalledState.REFUSED)
        return Installed(path, state, name, package.skill_hash, bundle.certificate_id, error.code, error.message)
    return Installed(path, InstalledState.CERTIFIED, name, package.skill_hash, bundle.certificate_id)
