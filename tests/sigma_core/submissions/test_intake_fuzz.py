"""Whatever the bytes are, intake answers with a package or a Refusal."""

from __future__ import annotations

import io
import tarfile
import zipfile
from contextlib import suppress

from archive_builders import SKILL
from hypothesis import given, settings
from hypothesis import strategies as st
from test_honest_archives import HONEST

from sigma_core.canonical import canonical_json
from sigma_core.policy import load_policy
from sigma_core.submissions.dependencies import dependency_problems
from sigma_core.submissions.intake import read_archive_bytes
from sigma_core.submissions.manifest import read_manifest
from sigma_core.submissions.openapi_manifest import read_openapi_manifest
from sigma_core.submissions.package import Package, PackageFile, ProductType
from sigma_core.submissions.refusal import Refusal

POLICY = load_policy()
FUZZ = settings(max_examples=150, deadline=None)

MAGICS = [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", bytes(257) + b"ustar\x0000"]
EDITS = st.lists(
    st.tuples(st.integers(0, 2**20), st.integers(0, 40), st.binary(max_size=24)),
    min_size=1,
    max_size=4,
)


def read(data: bytes) -> None:
    with suppress(Refusal):
        package = read_archive_bytes(data, "upload", POLICY)
        # What passes is fit to be hashed and stored.
        canonical_json(dict(package.manifest))
        assert package.tree_hash


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """``data`` with bytes replaced, removed and inserted."""
    for place, removed, inserted in edits:
        at = place % (len(data) + 1)
        data = data[:at] + inserted + data[at + removed :]
    return data


@FUZZ
@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=2000))
def test_random_bytes(magic: bytes, rest: bytes) -> None:
    read(magic + rest)


@FUZZ
@given(kind=st.sampled_from(sorted(HONEST)), edits=EDITS)
def test_honest_archives_with_edits(kind: str, edits: list[tuple[int, int, bytes]]) -> None:
    read(edited(HONEST[kind], edits))


@FUZZ
@given(kind=st.sampled_from(sorted(HONEST)), place=st.integers(0, 2**20), value=st.integers(0, 255))
def test_what_is_accepted_is_what_the_standard_library_reads(kind: str, place: int, value: int) -> None:
    data = HONEST[kind]
    at = place % len(data)
    data = data[:at] + bytes([value]) + data[at + 1 :]
    with suppress(Refusal):
        package = read_archive_bytes(data, "upload", POLICY)
        assert {file.path: file.content for file in package.files} == read_by_the_standard_library(data)


def read_by_the_standard_library(data: bytes) -> dict[str, bytes]:
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(member, archive.extractfile(member)) for member in archive if member.isfile()]
        return {member.name.removeprefix("./"): file.read() for member, file in members if file is not None}


@FUZZ
@given(front=st.text(max_size=200), body=st.text(max_size=200))
def test_any_front_matter_and_body(front: str, body: str) -> None:
    text = f"---\n{front}\n---\n{body}\n```yaml\ncapabilities: {body}\n```\n"
    with suppress(Refusal):
        canonical_json(read_manifest(text.encode("utf-8", "replace"), POLICY.package))


YAML_MARKS = [
    ": ",
    "\n",
    "- ",
    "  ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "|\n",
    ">\n",
    "#",
    ",",
    "\t",
]
YAML_WORDS = [
    "name",
    "endpoints",
    "externalCalls:\n",
    "safety",
    "metadata",
    "%YAML",
    "---",
    "...",
    "<<",
    "é",
    "1",
    "null",
]
YAML_PIECES = st.sampled_from(YAML_MARKS) | st.sampled_from(YAML_WORDS)


@FUZZ
@given(pieces=st.lists(YAML_PIECES, max_size=60))
def test_front_matter_of_yaml_pieces(pieces: list[str]) -> None:
    text = f"---\nname: a\ndescription: b\n{''.join(pieces)}\n---\n"
    with suppress(Refusal):
        canonical_json(read_manifest(text.encode(), POLICY.package))
    with suppress(Refusal):
        canonical_json(read_openapi_manifest(f"openapi: 1\n{''.join(pieces)}".encode(), POLICY.package, "openapi.yaml"))


@FUZZ
@given(content=st.binary(max_size=300))
def test_any_bytes_as_json_api(content: bytes) -> None:
    with suppress(Refusal):
        read_openapi_manifest(b'{"openapi": "3.1.0", "paths": ' + content + b"}", POLICY.package, "openapi.json")


DEPENDENCY_FILES = ["requirements.txt", "pyproject.toml", "package.json", "pip.conf", ".npmrc", "tool.py"]
DEPENDENCY_MARKS = [
    "==",
    ">=",
    "*",
    "^",
    "~",
    " ",
    "\n",
    "@",
    "/",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    ":",
    ",",
    "=",
    ";",
    "||",
]
DEPENDENCY_WORDS = [
    "requests",
    "1.0",
    "2",
    "-r ",
    "--index-url ",
    "https://x.example",
    "git+",
    "latest",
    " - ",
    "x",
    "\x00",
]
DEPENDENCY_HEADS = [
    "# /// script\n",
    "# ///\n",
    "# ",
    "[tool.poetry.dependencies]\n",
    "[project]\n",
    "dependencies",
    "\\\n",
]
DEPENDENCY_PIECES = (
    st.sampled_from(DEPENDENCY_MARKS) | st.sampled_from(DEPENDENCY_WORDS) | st.sampled_from(DEPENDENCY_HEADS)
)


@FUZZ
@given(name=st.sampled_from(DEPENDENCY_FILES), pieces=st.lists(DEPENDENCY_PIECES, max_size=40))
def test_any_dependency_file(name: str, pieces: list[str]) -> None:
    content = "".join(pieces)
    texts = [content, "# /// script\n" + content + "\n# ///", '{"dependencies": {"a": ' + content + "}}"]
    for text in texts:
        files = (PackageFile.of("SKILL.md", SKILL), PackageFile.of(name, text.encode()))
        for problem in dependency_problems(Package(files, {}, ProductType.SKILL, "x")):
            assert problem.file == name
            assert 1 <= problem.line <= text.count("\n") + 1
