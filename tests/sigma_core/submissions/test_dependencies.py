"""Dependencies must resolve from the public index alone: each broken rule is told with file and line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.submissions.dependencies import dependency_problems
from sigma_core.submissions.dependency_problem import MAX_PROBLEMS_PER_FILE
from sigma_core.submissions.node_dependencies import dependency_fault, range_fault
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files


def problems(**files: str) -> list[tuple[str, int, str]]:
    members = sorted_files(PackageFile.of(path, text.encode()) for path, text in files.items())
    package = Package(members, {}, ProductType.SKILL, "x")
    return [(problem.file, problem.line, problem.code) for problem in dependency_problems(package)]


def requirement(text: str) -> str | None:
    found = problems(**{"requirements.txt": f"# first line\n{text}\n"})
    assert all((file, line) == ("requirements.txt", 2) for file, line, _ in found)
    return found[0][2] if found else None


class TestRequirements:
    @pytest.mark.parametrize(
        "text",
        [
            "requests==2.31.0",
            "requests>=2.0",
            "requests >= 2.0, < 3",
            "requests~=2.31",
            "requests==2.*",
            "requests[socks]==2.31.0 ; python_version < '3.12'",
            "requests<3",
            "requests===2.31.0",
            "requests==2.31.0 --hash=sha256:" + "0" * 64,
            "requests==2.31.0  # a comment",
            "--index-url https://pypi.org/simple/",
            "-i https://pypi.org/simple",
            "--require-hashes",
            "--only-binary=:all:",
        ],
    )
    def test_pins_and_ranges_are_fine(self, text: str) -> None:
        assert requirement(text) is None

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("requests", "DEPENDENCY_UNPINNED"),
            ("requests # latest", "DEPENDENCY_UNPINNED"),
            ("requests>=0", "DEPENDENCY_UNPINNED"),
            ("requests>=0.0.0", "DEPENDENCY_UNPINNED"),
            ("requests!=2.0", "DEPENDENCY_UNPINNED"),
            ("requests>3,<2", "DEPENDENCY_UNRESOLVABLE"),
            ("requests==1,==2", "DEPENDENCY_UNRESOLVABLE"),
            ("git+https://git.example/a.git", "DEPENDENCY_VCS"),
            ("a @ git+https://git.example/a.git@v1", "DEPENDENCY_VCS"),
            ("-e git+https://git.example/a.git#egg=a", "DEPENDENCY_VCS"),
            ("https://files.example/a-1.0.tar.gz", "DEPENDENCY_URL"),
            ("a @ https://files.example/a-1.0-py3-none-any.whl", "DEPENDENCY_URL"),
            ("./vendored", "DEPENDENCY_LOCAL_PATH"),
            ("vendored/a", "DEPENDENCY_LOCAL_PATH"),
            ("a-1.0-py3-none-any.whl", "DEPENDENCY_LOCAL_PATH"),
            ("a @ file:///tmp/a", "DEPENDENCY_LOCAL_PATH"),
            ("-e .", "DEPENDENCY_LOCAL_PATH"),
            ("--editable=.", "DEPENDENCY_LOCAL_PATH"),
            ("-r missing.txt", "DEPENDENCY_LOCAL_PATH"),
            ("-r https://lists.example/requirements.txt", "DEPENDENCY_URL"),
            ("--index-url https://packages.example/simple", "DEPENDENCY_PRIVATE_INDEX"),
            ("--extra-index-url=https://packages.example", "DEPENDENCY_PRIVATE_INDEX"),
            ("-ihttps://packages.example", "DEPENDENCY_PRIVATE_INDEX"),
            ("--find-links wheels", "DEPENDENCY_PRIVATE_INDEX"),
            ("--trusted-host packages.example", "DEPENDENCY_PRIVATE_INDEX"),
            ("requests = 2", "DEPENDENCY_MALFORMED"),
            ("requests==*", "DEPENDENCY_MALFORMED"),
            ("--run-this now", "DEPENDENCY_MALFORMED"),
            ("a" * 1001, "DEPENDENCY_MALFORMED"),
            ("a; " + "(" * 900, "DEPENDENCY_MALFORMED"),
        ],
    )
    def test_everything_else_is_told(self, text: str, code: str) -> None:
        assert requirement(text) == code

    def test_a_continued_line_counts_from_its_first(self) -> None:
        found = problems(**{"requirements.txt": "a==1 \\\n  --hash=sha256:00\nb \\\n  ; python_version > '3'\nc\n"})
        assert found == [("requirements.txt", 3, "DEPENDENCY_UNPINNED"), ("requirements.txt", 5, "DEPENDENCY_UNPINNED")]

    def test_included_files_are_read_once(self) -> None:
        files = {"requirements.txt": "-r more/base.txt\n-c more/base.txt\n", "more/base.txt": "a==1\nb\n-r base.txt\n"}
        assert problems(**files) == [("more/base.txt", 2, "DEPENDENCY_UNPINNED")]

    def test_other_names_of_requirements_files(self) -> None:
        files = {"requirements-dev.txt": "a\n", "dev-requirements.txt": "a\n", "scripts/requirements.in": "a\n"}
        assert {file for file, _, _ in problems(**files)} == set(files)

    def test_crlf_and_byte_order_mark(self) -> None:
        assert problems(**{"requirements.txt": "\ufeffa==1\r\nb\r\n"}) == [
            ("requirements.txt", 2, "DEPENDENCY_UNPINNED")
        ]


class TestPyproject:
    def test_every_table_is_read(self) -> None:
        text = """\
[project]
dependencies = [
    "fine>=1.0",
    "bare",
]
[project.optional-dependencies]
dev = ["optional"]
[dependency-groups]
test = ["grouped", {include-group = "dev"}]
[build-system]
requires = ["builder"]
[tool.uv]
dev-dependencies = ["older"]
index-url = "https://packages.example/simple"
[tool.uv.sources]
fine = {git = "https://git.example/fine"}
"""
        assert problems(**{"pyproject.toml": text}) == [
            ("pyproject.toml", 4, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 7, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 9, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 11, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 13, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 14, "DEPENDENCY_PRIVATE_INDEX"),
            ("pyproject.toml", 16, "DEPENDENCY_VCS"),
        ]

    def test_poetry(self) -> None:
        text = """\
[tool.poetry.dependencies]
python = "*"
caret = "^1.2"
exact = "1.2.3"
star = "*"
forked = {git = "https://git.example/a"}
near = {path = "../near"}
table = {version = ">=1,<2", extras = ["x"]}
[tool.poetry.group.dev.dependencies]
tool = "latest"
[[tool.poetry.source]]
url = "https://packages.example/simple"
"""
        assert problems(**{"pyproject.toml": text}) == [
            ("pyproject.toml", 5, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 6, "DEPENDENCY_VCS"),
            ("pyproject.toml", 7, "DEPENDENCY_LOCAL_PATH"),
            ("pyproject.toml", 10, "DEPENDENCY_UNPINNED"),
            ("pyproject.toml", 12, "DEPENDENCY_PRIVATE_INDEX"),
        ]

    @pytest.mark.parametrize("text", ["[project", "a = " + "[" * 5000, "a." * 20 + "b = 1"])
    def test_what_cannot_be_read_is_told(self, text: str) -> None:
        assert [code for _, _, code in problems(**{"pyproject.toml": text})] == ["DEPENDENCY_FILE_UNREADABLE"]

    def test_script_metadata(self) -> None:
        text = '#!/usr/bin/env python\n# /// script\n# dependencies = [\n#   "a==1",\n#   "b",\n# ]\n# ///\nprint()\n'
        assert problems(**{"run.py": text}) == [("run.py", 5, "DEPENDENCY_UNPINNED")]
        assert problems(**{"run.py": "import requests\n# dependencies = ['b']\n"}) == []


class TestNode:
    @pytest.mark.parametrize(
        "wanted",
        [
            "1.2.3", "v1.2.3", "=1.2.3", "^1.2.3", "~1.2", "1.x", "1", "1.2.*", ">=1.0.0", ">= 1.0.0 <2", "<2", "<=2.1",
            ">1.2", "1.2.3 - 2.3", "^1 || ^2", "1.0.0-beta.1", "1.0.0+build", "npm:other@^1.2", "npm:@scope/other@1.0.0",
        ],
    )  # fmt: skip
    def test_exact_versions_and_ranges_are_fine(self, wanted: str) -> None:
        assert dependency_fault(wanted) is None

    @pytest.mark.parametrize(
        ("wanted", "code"),
        [
            ("", "DEPENDENCY_UNPINNED"),
            ("*", "DEPENDENCY_UNPINNED"),
            ("x", "DEPENDENCY_UNPINNED"),
            ("latest", "DEPENDENCY_UNPINNED"),
            ("next", "DEPENDENCY_UNPINNED"),
            (">=0", "DEPENDENCY_UNPINNED"),
            (">=0.0.0", "DEPENDENCY_UNPINNED"),
            ("^1 || *", "DEPENDENCY_UNPINNED"),
            ("npm:other", "DEPENDENCY_UNPINNED"),
            ("npm:@scope/other", "DEPENDENCY_UNPINNED"),
            (">2 <1", "DEPENDENCY_UNRESOLVABLE"),
            ("<0.0.0", "DEPENDENCY_UNRESOLVABLE"),
            ("git+https://git.example/a.git", "DEPENDENCY_VCS"),
            ("git://git.example/a.git", "DEPENDENCY_VCS"),
            ("github:user/repository", "DEPENDENCY_VCS"),
            ("user/repository#branch", "DEPENDENCY_VCS"),
            ("https://git.example/a.git", "DEPENDENCY_VCS"),
            ("https://files.example/a.tgz", "DEPENDENCY_URL"),
            ("file:../a", "DEPENDENCY_LOCAL_PATH"),
            ("link:./a", "DEPENDENCY_LOCAL_PATH"),
            ("workspace:*", "DEPENDENCY_LOCAL_PATH"),
            ("1.2.3.4", "DEPENDENCY_MALFORMED"),
            ("01.2.3", "DEPENDENCY_MALFORMED"),
            ("^", "DEPENDENCY_MALFORMED"),
        ],
    )
    def test_everything_else_is_told(self, wanted: str, code: str) -> None:
        assert dependency_fault(wanted) == code

    def test_every_section_is_read(self) -> None:
        document = {
            "dependencies": {"a": "^1.0.0", "b": "latest"},
            "devDependencies": {"b": "1.0.0", "c": "*"},
            "peerDependencies": {"d": "file:d"},
            "overrides": {"e": {"f": "git+ssh://git.example/f"}, "a": "$a"},
        }
        assert problems(**{"tool/package.json": json.dumps(document, indent=2)}) == [
            ("tool/package.json", 4, "DEPENDENCY_UNPINNED"),
            ("tool/package.json", 8, "DEPENDENCY_UNPINNED"),
            ("tool/package.json", 11, "DEPENDENCY_LOCAL_PATH"),
            ("tool/package.json", 15, "DEPENDENCY_VCS"),
        ]

    @pytest.mark.parametrize(
        "text", ["{", "[" * 100_000, '{"dependencies": {}, "dependencies": {"a": "*"}}', '{"a": NaN,}']
    )
    def test_what_cannot_be_read_is_told(self, text: str) -> None:
        assert [code for _, _, code in problems(**{"package.json": text})] == ["DEPENDENCY_FILE_UNREADABLE"]

    @given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
    def test_a_version_satisfies_its_own_ranges(self, major: int, minor: int, patch: int) -> None:
        version = f"{major}.{minor}.{patch}"
        for text in (version, f"^{version}", f"~{version}", f"<={version}", f">={version} <={version}"):
            assert range_fault(text) is None
        assert range_fault(f">{version} <{version}") == "DEPENDENCY_UNRESOLVABLE"


class TestConfigurations:
    def test_pip(self) -> None:
        text = "[global]\nindex-url = https://pypi.org/simple\nextra-index-url = https://packages.example\n"
        assert problems(**{"pip.conf": text}) == [("pip.conf", 3, "DEPENDENCY_PRIVATE_INDEX")]

    def test_npm_and_yarn(self) -> None:
        npm = "registry=https://registry.npmjs.org/\n@scope:registry=https://packages.example\n"
        yarn = 'npmRegistryServer: "https://packages.example"\n'
        assert problems(**{".npmrc": npm, "tool/.yarnrc.yml": yarn}) == [
            (".npmrc", 2, "DEPENDENCY_PRIVATE_INDEX"),
            ("tool/.yarnrc.yml", 1, "DEPENDENCY_PRIVATE_INDEX"),
        ]


def test_a_file_tells_at_most_a_hundred_problems() -> None:
    lines = "".join(f"package-{index}\n" for index in range(1_000))
    assert len(problems(**{"requirements.txt": lines})) == MAX_PROBLEMS_PER_FILE


def test_a_problem_as_json_names_file_line_and_rule() -> None:
    package = Package((PackageFile.of("requirements.txt", b"a\n"),), {}, ProductType.SKILL, "x")
    assert [problem.as_json() for problem in dependency_problems(package)] == [
        {
            "file": "requirements.txt",
            "line": 1,
            "rule": "a dependency names an exact version or a range with a bound; no bare name, '*' or tag",
            "code": "DEPENDENCY_UNPINNED",
            "text": "a",
        }
    ]
