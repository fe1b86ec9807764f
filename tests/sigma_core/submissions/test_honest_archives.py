"""Archives as ordinary tools write them are taken in, and say the same as the folder that they were made from."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from archive_builders import (
    SKILL,
    TAR_SKILL,
    TREE,
    ZipMember,
    build_tar,
    build_zip,
    deflate,
    extra_field,
    pax_header,
    pax_record,
    skill_member,
    streamed,
    tar_file,
    tar_of,
    zip_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.policy import load_policy
from sigma_core.submissions.intake import read_archive_bytes, read_package
from sigma_core.submissions.package import Package, ProductType

POLICY = load_policy()
LONG = "docs/" + "deep-" * 24 + "é.md"


def read(data: bytes) -> Package:
    return read_archive_bytes(data, "upload", POLICY)


def contents(package: Package) -> dict[str, bytes]:
    return {file.path: file.content for file in package.files}


def write_tree(root: Path, tree: dict[str, bytes]) -> None:
    for path, content in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


class Pipe(io.RawIOBase):
    """Something that can be written and not sought."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.written += data  # type: ignore[operator]
        return len(data)  # type: ignore[arg-type]


def zip_to_a_pipe(method: int) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for path, content in TREE.items():
            archive.writestr(path, content)
    return bytes(pipe.written)


def zip_with_zip64_fields() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in TREE.items():
            with archive.open(path, "w", force_zip64=True) as member:
                member.write(content)
    return buffer.getvalue()


def unicode_path(name: bytes) -> bytes:
    return extra_field(0x7075, struct.pack("<BI", 1, zlib.crc32(name)) + name)


TIMES = extra_field(0x5455, b"\x03" + bytes(8)) + extra_field(0x7875, b"\x01\x04\xe8\x03\x00\x00\x04\xe8\x03\x00\x00")
TIMES_SHORT = extra_field(0x5455, b"\x03" + bytes(4)) + extra_field(
    0x7875, b"\x01\x04\xe8\x03\x00\x00\x04\xe8\x03\x00\x00"
)
END64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 54, len(SKILL) + 38)

HONEST: dict[str, bytes] = {
    "zip": zip_of(TREE),
    "zip_stored": build_zip(*(ZipMember(path.encode(), content, method=0) for path, content in TREE.items())),
    "zip_to_a_pipe": zip_to_a_pipe(zipfile.ZIP_DEFLATED),
    "zip_to_a_pipe_stored": zip_to_a_pipe(zipfile.ZIP_STORED),
    "zip_with_zip64_fields": zip_with_zip64_fields(),
    "zip_with_directories": build_zip(
        *(
            ZipMember(name, method=0, central={"attributes": (0o040755 << 16) | 0x10})
            for name in (b"docs/", b"scripts/")
        ),
        ZipMember(b"assets/", packed=deflate(b"")),
        *(ZipMember(path.encode(), content) for path, content in TREE.items()),
    ),
    "zip_with_times_and_owners": build_zip(
        *(ZipMember(path.encode(), content, extra=TIMES, central_extra=TIMES_SHORT) for path, content in TREE.items())
    ),
    "zip_from_windows": build_zip(
        *(ZipMember(path.encode(), content, central={"attributes": 0x20}) for path, content in TREE.items())
    ),
    "zip_with_commit_as_comment": build_zip(
        *(ZipMember(path.encode(), content) for path, content in TREE.items()), comment=b"0" * 40
    ),
    "zip_in_another_order": build_zip(*(ZipMember(path.encode(), TREE[path]) for path in reversed(TREE))),
    "tar": tar_of(TREE),
    "tar_ustar": tar_of(TREE, tar_format=tarfile.USTAR_FORMAT),
    "tar_gnu": tar_of(TREE, tar_format=tarfile.GNU_FORMAT),
    "tar_v7": build_tar(*(tar_file(path.encode(), content, magic=bytes(8)) for path, content in TREE.items())),
    "tar_gz": tar_of(TREE, "w:gz"),
    "tar_bz2": tar_of(TREE, "w:bz2"),
    "tar_xz": tar_of(TREE, "w:xz"),
    "tar_of_dot": build_tar(
        tar_file(b"./", b"", b"5", mode=0o755),
        tar_file(b"./docs/", b"", b"5", mode=0o755),
        *(tar_file(b"./" + path.encode(), content) for path, content in TREE.items()),
    ),
    "tar_from_git": build_tar(
        pax_header(pax_record("comment", b"0" * 40), kind=b"g"),
        *(tar_file(path.encode(), content, mode=0o664) for path, content in TREE.items()),
    ),
}


@pytest.mark.parametrize("kind", HONEST)
def test_an_honest_archive_says_what_was_packed(kind: str) -> None:
    package = read(HONEST[kind])
    assert contents(package) == TREE
    assert package.product_type is ProductType.SKILL
    assert package.manifest["name"] == "greeter"
    assert package.intake_notes == ()


@pytest.mark.parametrize("kind", HONEST)
def test_every_honest_archive_has_the_tree_hash_of_the_folder(kind: str, tmp_path: Path) -> None:
    write_tree(tmp_path, TREE)
    assert read(HONEST[kind]).tree_hash == read_package(tmp_path, POLICY).tree_hash


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_non_ascii_names_of_a_tar(tar_format: int) -> None:
    tree = {"SKILL.md": SKILL, LONG: b"1", "données/été.md": b"2", "x" * 99 + "é": b"3"}
    assert contents(read(tar_of(tree, tar_format=tar_format))) == tree


def test_a_long_name_that_ustar_splits() -> None:
    tree = {"SKILL.md": SKILL, "a" * 90 + "/" + "b" * 90: b"1"}
    assert contents(read(tar_of(tree, tar_format=tarfile.USTAR_FORMAT))) == tree


def test_non_ascii_names_of_a_zip() -> None:
    tree = {"SKILL.md": SKILL, "données/été.md": b"2", "説明.md": b"3", "🎉.md": b"4"}
    assert contents(read(zip_of(tree))) == tree
    name = "été.md".encode()
    by_extra_field = build_zip(skill_member(), ZipMember(name, b"1", extra=unicode_path(name)))
    assert "été.md" in contents(read(by_extra_field))


def test_zip64_end_records_that_agree() -> None:
    member = ZipMember(b"SKILL.md", SKILL, method=0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, len(SKILL) + 38 + 54, 1)
    saturated = {"here": 0xFFFF, "count": 0xFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
    assert contents(read(build_zip(member, end64=END64 + locator))) == {"SKILL.md": SKILL}
    assert contents(read(build_zip(member, end64=END64 + locator, end=saturated))) == {"SKILL.md": SKILL}


def test_a_streamed_member_with_64_bit_descriptor() -> None:
    packed = deflate(b"hello")
    wide = b"PK\x07\x08" + struct.pack("<IQQ", zlib.crc32(b"hello"), len(packed), 5)
    data = build_zip(skill_member(), streamed(b"x", b"hello", descriptor=wide), streamed(b"y", b"hello"))
    assert contents(read(data)) == {"SKILL.md": SKILL, "x": b"hello", "y": b"hello"}


def test_an_archive_inside_an_archive_is_a_file() -> None:
    tree = {"SKILL.md": SKILL, "inner.zip": zip_of(TREE), "inner.tar.gz": tar_of(TREE, "w:gz")}
    assert contents(read(zip_of(tree))) == tree
    assert contents(read(build_zip(*(ZipMember(p.encode(), c, method=0) for p, c in tree.items())))) == tree
    assert contents(read(tar_of(tree))) == tree


def test_the_executable_bit_is_kept(tmp_path: Path) -> None:
    write_tree(tmp_path, {"SKILL.md": SKILL, "run.sh": b"true\n"})
    (tmp_path / "run.sh").chmod(0o755)
    zipped = build_zip(skill_member(), ZipMember(b"run.sh", b"true\n", mode=0o100755))
    tarred = build_tar(TAR_SKILL, tar_file(b"run.sh", b"true\n", mode=0o755))
    packages = [read_package(tmp_path, POLICY), read(zipped), read(tarred)]
    assert [package.by_path["run.sh"].executable for package in packages] == [True] * 3
    assert len({package.tree_hash for package in packages}) == 1


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_many_small_files_that_compress_well_are_no_bomb(mode: str) -> None:
    tree = {"SKILL.md": SKILL} | {f"items/item-{index:04}.md": b"" for index in range(4_000)}
    lifted = POLICY.package.model_copy(update={"max_files": 5_000})
    assert contents(read_archive_bytes(tar_of(tree, mode), "upload", POLICY, limits=lifted)) == tree


class TestWrappingFolder:
    def test_the_only_folder_is_the_root_when_it_has_the_skill_file(self) -> None:
        package = read(zip_of({f"greeter-1.0/{path}": content for path, content in TREE.items()}))
        assert contents(package) == TREE
        assert package.intake_notes == ("the archive's one folder greeter-1.0/ is the root of the package",)

    def test_what_the_macos_archiver_adds_beside_it_stays_a_member(self) -> None:
        package = read(zip_of({"greeter/SKILL.md": SKILL, "__MACOSX/greeter/._SKILL.md": b"\x00\x05\x16\x07"}))
        assert set(contents(package)) == {"SKILL.md", "__MACOSX/greeter/._SKILL.md"}

    def test_a_folder_beside_the_skill_file_is_no_wrapper(self) -> None:
        package = read(zip_of({"SKILL.md": SKILL, "skills/other/SKILL.md": b"other\n"}))
        assert set(contents(package)) == {"SKILL.md", "skills/other/SKILL.md"}


class TestProductType:
    API = b"openapi: 3.1.0\ninfo: {title: Greetings, version: '2'}\npaths: {/hello: {get: {}}}\n"

    def test_an_openapi_document_without_a_skill_file_is_an_api(self) -> None:
        package = read(zip_of({"openapi.yaml": self.API}))
        assert package.product_type is ProductType.API
        assert package.manifest["endpoints"] == [{"method": "GET", "path": "/hello", "auth": None}]
        assert package.skill_hash is None

    def test_a_skill_that_declares_endpoints_is_both(self) -> None:
        skill = b"---\nname: a\ndescription: b\nendpoints: [GET /hello]\n---\n"
        assert read(zip_of({"SKILL.md": skill})).product_type is ProductType.SKILL_API

    def test_the_manifest_may_say_it(self) -> None:
        skill = b"---\nname: a\ndescription: b\nproductType: skill-api\n---\n"
        assert read(zip_of({"SKILL.md": skill})).product_type is ProductType.SKILL_API

    def test_the_caller_may_override_it(self) -> None:
        package = read_archive_bytes(zip_of(TREE), "upload", POLICY, product_type=ProductType.SKILL_API)
        assert package.product_type is ProductType.SKILL_API


def test_other_limits_may_be_passed() -> None:
    many = {"SKILL.md": SKILL} | {f"f{index:04}": b"x" for index in range(300)}
    lifted = POLICY.package.model_copy(update={"max_files": 5000})
    assert len(read_archive_bytes(zip_of(many), "upload", POLICY, limits=lifted).files) == 301


def test_a_skill_file_in_lower_case_is_the_skill_file() -> None:
    package = read(zip_of({"skill.md": SKILL}))
    assert package.skill_file is not None
    assert package.manifest["name"] == "greeter"


# Letters whose case folding and composition are tricky are left to the tests of names: here trees are honest.
NAMES = st.text(alphabet="abcdefgh0123456789-_é語", min_size=1, max_size=12)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.binary(max_size=300), max_size=6
).filter(lambda tree: not any(other.startswith(f"{path}/") for path in tree for other in tree))


@settings(max_examples=40, deadline=None)
@given(tree=TREES, executable=st.booleans())
def test_folder_zip_and_tar_of_one_tree_have_one_hash(
    tree: dict[str, bytes], executable: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = {"SKILL.md": SKILL, **tree}
    root = tmp_path_factory.mktemp("tree")
    write_tree(root, tree)
    mode = 0o755 if executable else 0o644
    for path in tree:
        (root / path).chmod(mode)
    zipped = build_zip(
        *(ZipMember(path.encode(), content, flags=0x800, mode=0o100000 | mode) for path, content in tree.items())
    )
    tarred = build_tar(*(tar_file(path.encode(), content, mode=mode) for path, content in reversed(tree.items())))
    hashes = {read(zipped).tree_hash, read(tarred).tree_hash, read_package(root, POLICY).tree_hash}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("zip", ["zip", "-q", "-r", "{out}", "."]),
        ("zip", ["sh", "-c", "zip -q -r - . > {out}"]),
        ("zip", ["zip", "-q", "-r", "-fz", "{out}", "."]),
        ("tar", ["tar", "-cf", "{out}", "."]),
        ("tar", ["tar", "-czf", "{out}", "--format=pax", "."]),
        ("tar", ["tar", "-cf", "{out}", "--format=gnu", "."]),
        ("tar", ["tar", "-cf", "{out}", "--format=v7", "SKILL.md", "docs", "scripts", "empty.txt"]),
        ("git", ["sh", "-c", "git init -q . && git add . && git -c user.name=a -c user.email=a@a.example commit -q "
         "-m x && git archive --format=zip --prefix=greeter/ -o {out} HEAD"]),
        ("git", ["sh", "-c", "git init -q . && git add . && git -c user.name=a -c user.email=a@a.example commit -q "
         "-m x && git archive --format=tar.gz --prefix=greeter/ -o {out} HEAD"]),
        ("jar", ["jar", "cfM", "{out}", "."]),
    ],
)  # fmt: skip
def test_what_real_tools_write(tool: str, command: list[str], tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    root = tmp_path / "tree"
    root.mkdir()
    write_tree(root, TREE)
    (root / "scripts/greet.py").chmod(0o755)
    expected = read_package(root, POLICY)
    out = tmp_path / "archive"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([word.format(out=out) for word in command], cwd=root, check=True, env=environment)
    written = out if out.exists() else out.with_suffix(".zip")
    package = read_package(written, POLICY)
    assert contents(package) == TREE
    if tool != "jar":  # which keeps no modes
        assert package.tree_hash == expected.tree_hash
    assert stat.S_ISREG(written.stat().st_mode)
