"""Package intake: a folder or archive that nobody trusts in, a `Package` or a `Refusal` out.

Everything stays in memory, within the limits of the policy; nothing is extracted, written, executed or fetched. The
kind of an archive follows from its content, never from its name. Bytes are taken as they are or refused as they are.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from sigma_core.policy import PackageLimits, Policy
from sigma_core.submissions.compressed_stream import BZIP2_MAGIC, GZIP_MAGIC, XZ_MAGIC
from sigma_core.submissions.folder import read_at_most, read_folder
from sigma_core.submissions.intake_budget import IntakeBudget
from sigma_core.submissions.manifest import read_manifest
from sigma_core.submissions.member_names import refuse_clashes
from sigma_core.submissions.openapi_manifest import read_openapi_manifest
from sigma_core.submissions.package import Package, PackageFile, ProductType, is_skill_file, sorted_files
from sigma_core.submissions.refusal import Refusal, printable
from sigma_core.submissions.tar_archive import looks_like_tar, read_tar
from sigma_core.submissions.zip_archive import ends_like_zip, looks_like_zip, read_zip

APPLE_DOUBLE_FOLDER = "__MACOSX"
"""What the macOS archiver puts beside the folder that it packs; its files are members like any other."""

OPENAPI_FILES = tuple(f"{stem}.{suffix}" for stem in ("openapi", "swagger") for suffix in ("yaml", "yml", "json"))


def read_package(
    path: Path, policy: Policy, *, limits: PackageLimits | None = None, product_type: ProductType | None = None
) -> Package:
    """The package in the folder or archive at ``path``.

    ``limits`` replace the policy's package limits; ``product_type`` overrides what the manifest says. A ``.git`` at the
    root of a folder is not part of the package (said in `Package.intake_notes`). Raises Refusal.
    """
    limits = limits or policy.package
    try:
        status = path.stat()
        name = path.name or path.resolve().name
    except (OSError, ValueError, RuntimeError) as error:
        raise Refusal("BROKEN_SOURCE", str(path), found=getattr(error, "strerror", None) or str(error)) from None
    if stat.S_ISDIR(status.st_mode):
        files, notes = read_folder(path, IntakeBudget(limits))
        return _package(files, notes, name, limits, product_type)
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("BROKEN_SOURCE", str(path), found="neither a folder nor a regular file")
    return read_archive_bytes(_read_archive_file(path, limits), name, policy, limits=limits, product_type=product_type)


def read_archive_bytes(
    data: bytes,
    name: str,
    policy: Policy,
    *,
    limits: PackageLimits | None = None,
    product_type: ProductType | None = None,
) -> Package:
    """The package in the zip, tar or compressed tar ``data``; ``name`` is what the submitter calls it. Raises Refusal.

    An archive may wrap the package in one folder: when its root has neither SKILL.md nor OpenAPI document, and its only
    top entry (`APPLE_DOUBLE_FOLDER` aside) is a folder that has one, that folder is the root, and a note says so.
    """
    limits = limits or policy.package
    if len(data) > limits.max_archive_bytes:
        raise Refusal("LIMIT_ARCHIVE_BYTES", name, limit=limits.max_archive_bytes, found=len(data))
    files, notes = _unwrapped(_read_members(data, IntakeBudget(limits)))
    return _package(files, notes, name, limits, product_type)


def _read_archive_file(path: Path, limits: PackageLimits) -> bytes:
    """The archive's bytes; one that is too large is refused before it is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size > limits.max_archive_bytes:
                raise Refusal("LIMIT_ARCHIVE_BYTES", path.name, limit=limits.max_archive_bytes, found=size)
            return read_at_most(descriptor, limits.max_archive_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Refusal("BROKEN_SOURCE", str(path), found=error.strerror) from None


def _read_members(data: bytes, budget: IntakeBudget) -> list[PackageFile]:
    if looks_like_zip(data):
        if looks_like_tar(data):
            raise Refusal("HOSTILE_POLYGLOT", found="zip and tar")
        return read_zip(data, budget)
    is_tar = data.startswith((GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC)) or data[257:262] == b"ustar" or looks_like_tar(data)
    if ends_like_zip(data):
        if is_tar:
            raise Refusal("HOSTILE_POLYGLOT", found="tar and zip")
        raise Refusal("HOSTILE_BYTES_BEFORE", found="a zip that begins with something else")
    if not is_tar:
        raise Refusal("BROKEN_ARCHIVE_TYPE", found=f"first bytes {data[:8].hex() or 'none'}")
    return read_tar(data, budget)


def _unwrapped(files: list[PackageFile]) -> tuple[list[PackageFile], list[str]]:
    """``files`` seen from the one folder that wraps them all, if there is one, and the note that says so."""
    tops = {file.path.partition("/")[0] for file in files} - {APPLE_DOUBLE_FOLDER}
    if len(tops) != 1 or _root_document(files) is not None:
        return files, []
    prefix = f"{tops.pop()}/"
    inner = [replace(file, path=file.path.removeprefix(prefix)) for file in files]
    if _root_document(inner) is None:
        return files, []
    refuse_clashes(file.path for file in inner)
    return inner, [f"the archive's one folder {printable(prefix)} is the root of the package"]


def _root_document(files: list[PackageFile]) -> PackageFile | None:
    """The file that says what the package is: SKILL.md, else an OpenAPI document."""
    skill = next((file for file in files if is_skill_file(file.path)), None)
    return skill or next((file for name in OPENAPI_FILES for file in files if file.path == name), None)


def _package(
    files: list[PackageFile],
    notes: list[str],
    source_name: str,
    limits: PackageLimits,
    product_type: ProductType | None,
) -> Package:
    if not files:
        raise Refusal("BROKEN_EMPTY", source_name)
    document = _root_document(files)
    if document is None or not (is_skill_file(document.path) or product_type in {None, ProductType.API}):
        raise Refusal("BROKEN_NO_SKILL_FILE", source_name)
    if is_skill_file(document.path):
        manifest = read_manifest(document.content, limits, file=document.path)
    else:
        manifest = read_openapi_manifest(document.content, limits, file=document.path)
    return Package(
        files=sorted_files(files),
        manifest=manifest,
        product_type=product_type or _product_type(manifest),
        source_name=printable(source_name),
        intake_notes=tuple(notes),
    )


def _product_type(manifest: dict[str, Any]) -> ProductType:
    """What the manifest says the package is; a skill that declares endpoints is both."""
    if manifest["productType"] is not None:
        return ProductType(manifest["productType"])
    return ProductType.SKILL_API if manifest["endpoints"] else ProductType.SKILL
