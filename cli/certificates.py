"""``sigma certificate`` and ``sigma verify``: find a bundle, and hold it against trusted keys, status lists and a package."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from sigma_core.certificates.bundle import MAX_BUNDLE_BYTES
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.log.folder import LogFolder
from sigma_core.certificates.log.note import MAX_NOTE_BYTES
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.refusals import Refusal, VerificationError
from sigma_core.certificates.status_list import MAX_FILE_BYTES as MAX_STATUS_LIST_BYTES
from sigma_core.certificates.status_list import PURPOSES, StatusList
from sigma_core.certificates.verify import open_bundle, verify_bundle
from sigma_core.config import Settings
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.timestamps import iso_utc

if TYPE_CHECKING:
    from sigma_core.certificates.installed import KeptBundle
    from sigma_core.lifecycle.kept_certificates import KeptCertificate
    from sigma_core.submissions.package import Package

LOOPBACK = frozenset({"127.0.0.1", "::1"})
LOOPBACK_HOSTS = LOOPBACK | {"localhost"}


class NoCertificate(SigmaError):
    """Nothing at hand certifies this."""

    code = "CERTIFICATE_UNKNOWN"
    exit_code = ExitCode.NEGATIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What ``sigma verify`` is given beside its target.

    ``keys``: a key set file, instead of this deployment's own. ``status``: status list files. ``checkpoints``: notes of the log seen
    elsewhere. ``log``: a copy of the log's files, which shows whether those are of one history. ``bundles``: folders
    of bundle files. ``online``: fetch the status lists. ``loopback``: this machine may be asked, at the URL that is given
    and at SIGMA_PUBLIC_URL.
    """

    keys: Path | None = None
    status: Sequence[Path] = ()
    checkpoints: Sequence[Path] = ()
    log: Path | None = None
    bundles: Sequence[Path] = ()
    online: bool = False
    loopback: bool = False


def find_certificate(settings: Settings, identifier: str) -> KeptCertificate:
    """By certificate id, or by the id of a round or submission that has one. Raises SigmaError when there is none."""
    from sigma_core.lifecycle.kept_certificates import kept_certificate, newest_certificate_id
    from sigma_core.lifecycle.opening import open_deployment

    deployment = open_deployment(settings)
    certificate_id = newest_certificate_id(deployment, identifier)
    found = None if certificate_id is None else kept_certificate(deployment, certificate_id)
    if found is None:
        raise SigmaError(
            f"{identifier!r} is neither a certificate here nor a round or submission that has one",
            code="CERTIFICATE_UNKNOWN",
            hint="`sigma status ID` tells how a submission went",
        )
    return found


def export_bundle(bundle: bytes, out: Path) -> None:
    """Write the bundle file, whole or not at all."""
    from sigma_core.storage.files import write_whole

    write_whole(out, bundle)


def verify_target(
    settings: Settings, target: str, *, package: Path | None, at: datetime, evidence: Evidence
) -> dict[str, Any]:
    """Verify a bundle file, an installed skill folder, a certificate of this deployment by its id, or a bundle at a URL.

    Only a URL, or ``online``, asks anything of the network. Returns ``{valid, certificateId, checks[], payloadHash, keyId, log,
    statusAsOf, payload}``. Raises VerificationError with the refusal, SigmaError when there is nothing to verify.
    """
    path = Path(target)
    at_hand = None if package is None else _read_package(settings, package)
    if target.startswith(("https://", "http://")):
        bundle = _fetched(_bundle_url(target), MAX_BUNDLE_BYTES, loopback=evidence.loopback)
    elif path.is_file():
        bundle = _read(path, MAX_BUNDLE_BYTES)
    elif path.is_dir():
        if at_hand is not None:
            raise SigmaError("--package goes with a bundle; this is a folder already", code="USAGE")
        at_hand = _read_package(settings, path)
        bundle = _bundle_for(settings, at_hand, evidence)
    elif target.startswith("cert_"):
        found = find_certificate(settings, target)
        _refuse_withdrawn(found)
        bundle = found.data
    else:
        raise SigmaError(
            f"{target}: no bundle file, skill folder or URL, and not a certificate id",
            code="USAGE",
            hint="a certificate id begins with cert_",
        )
    keys = trusted_keys(settings, evidence.keys)
    payload = open_bundle(bundle, keys).payload
    verified = verify_bundle(
        bundle,
        keys,
        at=at,
        package=at_hand,
        status_lists=_status_lists(settings, target, payload, keys, at, evidence),
        known_checkpoints=[_read(path, MAX_NOTE_BYTES) for path in evidence.checkpoints],
        log=None if evidence.log is None else LogFolder(evidence.log).read,
    )
    return {
        "valid": True,
        "certificateId": verified.payload.certificate_id,
        "checks": list(verified.checks),
        "payloadHash": verified.payload.hash,
        "keyId": verified.key_id,
        "log": None
        if verified.checkpoint is None
        else {
            "origin": verified.checkpoint.origin,
            "size": verified.checkpoint.size,
            "root": verified.checkpoint.root.hex(),
            "uncompared": list(verified.uncompared),
        },
        "statusAsOf": None if verified.status_as_of is None else iso_utc(verified.status_as_of),
        "payload": dict(verified.payload.document),
    }


def trusted_keys(settings: Settings, keys: Path | None) -> KeySet:
    """The key set in the file ``keys``, or this deployment's own. Raises SigmaError when there is none."""
    path = keys or settings.key_set
    if not path.is_file():
        raise SigmaError(
            f"{path}: no trusted keys there",
            code="KEY_SET_MISSING",
            hint="give the issuer's published key set with --keys FILE",
        )
    return KeySet.parse(path.read_bytes())


def bundles_at_hand(settings: Settings, folders: Sequence[Path], keys: KeySet) -> list[KeptBundle]:
    """Bundles in ``folders``, in those that `sigma audit` wrote, and in this deployment's database where there is one."""
    from sigma_core.certificates.installed import read_bundles

    kept = read_bundles([*folders, settings.certificates], keys)
    if settings.database_url is None and not (settings.home / "protocol.db").exists():
        return kept
    return kept + _deployment_bundles(settings, keys, {bundle.certificate_id for bundle in kept})


def local_status_lists(settings: Settings, keys: KeySet, at: datetime) -> dict[str, bytes]:
    """The status lists that this deployment has published and that are good at ``at``, by their address."""
    lists = {}
    for path in sorted(settings.status_lists.glob("*/*")):
        try:
            data = _read(path, MAX_STATUS_LIST_BYTES)
            listed = StatusList.open(data, keys)
            listed.check_current(at)
        except VerificationError:
            continue
        lists[listed.uri] = data
    return lists


def _deployment_bundles(settings: Settings, keys: KeySet, known: set[str]) -> list[KeptBundle]:
    from sqlalchemy import select

    from sigma_core.certificates.installed import MAX_BUNDLES, KeptBundle
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.storage.protocol import CertificateRow

    deployment = open_deployment(settings)
    with deployment.read_sessions() as session:
        rows = session.execute(
            select(CertificateRow.id, CertificateRow.bundle_sha256)
            .order_by(CertificateRow.issued_at.desc())
            .limit(MAX_BUNDLES)
        ).all()
    kept = []
    for identifier, digest in rows:
        if identifier not in known:
            data = deployment.blobs.get(digest)
            with suppress(VerificationError):  # another issuer's keys are trusted here, or this one was rotated away
                kept.append(KeptBundle.of(data, open_bundle(data, keys).payload))
    return kept


def _bundle_for(settings: Settings, package: Package, evidence: Evidence) -> bytes:
    from sigma_core.certificates.installed import certificate_of

    keys = trusted_keys(settings, evidence.keys)
    found = certificate_of(package, bundles_at_hand(settings, evidence.bundles, keys))
    if found is None:
        raise NoCertificate(
            f"{package.source_name}: no certificate at hand is about this skill (skillHash {package.skill_hash})",
            hint="give the folder that holds its bundle with --bundles DIR, or audit it with `sigma audit`",
        )
    return found.data


def _refuse_withdrawn(found: KeptCertificate) -> None:
    if found.status in PURPOSES:
        raise VerificationError(
            Refusal(found.status.value), "status", expected="APPROVED", found=f"{found.status.value} on record here"
        )


def _status_lists(
    settings: Settings, target: str, payload: Payload, keys: KeySet, at: datetime, evidence: Evidence
) -> list[bytes]:
    from sigma_core.certificates.installed import lists_about, status_list_uris

    if evidence.status:
        return [_read(path, MAX_STATUS_LIST_BYTES) for path in evidence.status]
    uris = status_list_uris(payload)
    if evidence.online:
        named = _named_loopback_origins(settings, target, evidence)
        return [_fetched(uri, MAX_STATUS_LIST_BYTES, loopback=_origin(uri) in named) for uri in uris]
    if evidence.keys is not None:
        return []  # another issuer's certificate: the lists here say nothing about it
    return lists_about(uris, local_status_lists(settings, keys, at))


def _bundle_url(url: str) -> str:
    """Where the bundle of a certificate is, for a URL of its record or of its verify answer; any other URL as it is."""
    parts = urlsplit(url)
    steps = parts.path.rstrip("/").split("/")
    if steps[-1] in ("verify", "live-status"):
        steps = steps[:-1]
    if len(steps) >= 2 and steps[-2] == "certificates":
        return urlunsplit(parts._replace(path="/".join([*steps, "attestation"])))
    return url


def _named_loopback_origins(settings: Settings, target: str, evidence: Evidence) -> set[tuple[str, str]]:
    """Origins on this machine that the user has named: what a bundle says is fetched from there and from nowhere else here.

    SIGMA_PUBLIC_URL counts for what this deployment's own keys signed, and with ``loopback`` for anything, as the target's does.
    """
    named = set()
    own_or_allowed = evidence.keys is None or evidence.loopback
    if own_or_allowed and urlsplit(settings.public_url).hostname in LOOPBACK_HOSTS:
        named.add(_origin(settings.public_url))
    if evidence.loopback and "://" in target:
        named.add(_origin(target))
    return named


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _fetched(url: str, most: int, *, loopback: bool) -> bytes:
    from sigma_core.safe_fetch import FetchRules, fetch

    # A redirect on this machine could lead to any other service of it.
    rules = (
        FetchRules(max_bytes=most, also_allowed=LOOPBACK, max_redirects=0) if loopback else FetchRules(max_bytes=most)
    )
    return fetch(url, rules).body


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)


def _read_package(settings: Settings, path: Path) -> Package:
    from sigma_core.policy import load_policy
    from sigma_core.submissions.intake import read_package

    return read_package(path, load_policy(settings.policy_file))
