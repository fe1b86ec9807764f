"""CycloneDX 1.6: files with hashes, dependencies with package URLs, and the same bytes for the same package."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages_of_ours import Files, package_of

from sigma_core.sandbox.dependency_listing import MAX_DEPENDENCIES, listed_dependencies
from sigma_core.sandbox.sbom import to_cyclonedx

MANIFESTS: Files = {
    "requirements.txt": "requests==2.32.3  # pinned\nRich_Text>=13,<14\n-r more/extra.in\nlocal @ https://user:secret@files.example/x.whl\n./vendored\n",
    "more/extra.in": "httpx[http2]~=0.28.0\n",
    "pyproject.toml": '[project]\nname = "x"\ndependencies = ["numpy==2.1.*"]\n[project.optional-dependencies]\nplot = ["matplotlib>=3"]\n[dependency-groups]\ndev = ["pytest>=8", {include-group = "other"}]\n',
    "run.py": '# /// script\n# dependencies = ["polars==1.2.3"]\n# ///\nprint(1)\n',
    "uv.lock": 'version = 1\n[[package]]\nname = "anyio"\nversion = "4.4.0"\nwheels = [{ url = "https://files.pythonhosted.org/a.whl", hash = "sha256:'
    + "ab" * 32
    + '" }]\n[[package]]\nname = "me"\nsource = { virtual = "." }\n',
    "Pipfile": '[packages]\nflask = "==3.0.0"\nany = "*"\nown = {git = "https://git.example/own"}\n[dev-packages]\nblack = {version = ">=24"}\n',
    "go.mod": "module example.org/me\n\nrequire github.com/Some/Tool v1.0.0\n\nrequire (\n\tgolang.org/x/text v0.3.0 // indirect\n)\n",
    "go.sum": f"github.com/Some/Tool v1.0.0 h1:{'A' * 43}=\n",
    "Cargo.lock": '[[package]]\nname = "serde"\nversion = "1.0.0"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "'
    + "cd" * 32
    + '"\n',
    "Gemfile.lock": "GEM\n  remote: https://gems.example/\n  specs:\n    rake (13.0.0)\n\nDEPENDENCIES\n  rake\n",
    "composer.lock": '{"packages": [{"name": "Vendor/lib", "version": "v2.0.0"}]}',
    "yarn.lock": "<<<<<<< HEAD\n",
    "package.json": json.dumps(
        {
            "dependencies": {"@scope/tool": "1.2.3", "left": "^2.0.0", "alias": "npm:real@3.0.0"},
            "devDependencies": {"repo": "github:someone/repo"},
        }
    ),
    "package-lock.json": json.dumps(
        {
            "packages": {
                "": {"version": "1.0.0"},
                "node_modules/left": {"version": "2.1.0"},
                "node_modules/a/node_modules/@s/b": {"version": "0.1.0", "dev": True},
            }
        }
    ),
}


def libraries(bom: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        component["name"]: component
        for component in bom["components"]
        if component["type"] == "library" and "version" in component
    }


def test_dependencies_carry_package_urls_scopes_and_places() -> None:
    found = {
        (each.purl or each.wanted, each.scope, each.file, each.line)
        for each in listed_dependencies(package_of(MANIFESTS)).dependencies
    }
    assert found == {
        ("pkg:pypi/requests@2.32.3", "required", "requirements.txt", 1),
        ("pkg:pypi/rich-text", "required", "requirements.txt", 2),
        ("https://***@files.example/x.whl", "required", "requirements.txt", 4),
        ("./vendored", "required", "requirements.txt", 5),
        ("pkg:pypi/httpx", "required", "more/extra.in", 1),
        ("pkg:pypi/numpy", "required", "pyproject.toml", 0),
        ("pkg:pypi/matplotlib", "optional", "pyproject.toml", 0),
        ("pkg:pypi/pytest", "excluded", "pyproject.toml", 0),
        ("pkg:pypi/polars@1.2.3", "required", "run.py", 0),
        ("pkg:pypi/anyio@4.4.0", "required", "uv.lock", 0),
        ("pkg:pypi/flask@3.0.0", "required", "Pipfile", 0),
        ("pkg:pypi/any", "required", "Pipfile", 0),
        ("https://git.example/own", "required", "Pipfile", 0),
        ("pkg:pypi/black", "excluded", "Pipfile", 0),
        ("pkg:golang/github.com/some/tool@v1.0.0", "required", "go.mod", 3),
        ("pkg:golang/golang.org/x/text@v0.3.0", "required", "go.mod", 6),
        ("pkg:golang/github.com/some/tool@v1.0.0", "required", "go.sum", 0),
        ("pkg:cargo/serde@1.0.0", "required", "Cargo.lock", 0),
        ("https://gems.example/", "required", "Gemfile.lock", 0),
        ("pkg:composer/vendor/lib@v2.0.0", "required", "composer.lock", 0),
        ("pkg:npm/%40scope/tool@1.2.3", "required", "package.json", 0),
        ("pkg:npm/left", "required", "package.json", 0),
        ("pkg:npm/real@3.0.0", "required", "package.json", 0),
        ("github:someone/repo", "excluded", "package.json", 0),
        ("pkg:npm/left@2.1.0", "required", "package-lock.json", 0),
        ("pkg:npm/%40s/b@0.1.0", "excluded", "package-lock.json", 0),
    }


def test_the_document_keeps_the_rules_of_the_format() -> None:
    package = package_of(MANIFESTS)
    bom = to_cyclonedx(package, "1.0.0")
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", bom["serialNumber"]
    )
    assert "timestamp" not in bom["metadata"]
    refs = [bom["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in bom["components"])]
    assert len(set(refs)) == len(refs)
    asked = [component["bom-ref"] for component in bom["components"] if component["type"] == "library"]
    assert bom["dependencies"][0] == {"ref": refs[0], "dependsOn": asked}
    assert [each["ref"] for each in bom["dependencies"][1:]] == asked
    for component in bom["components"]:
        assert component["type"] in {"file", "library"}
        assert component.get("scope", "required") in {"required", "optional", "excluded"}
        assert re.fullmatch(
            r"pkg:(pypi|npm|golang|cargo|composer)/[\w.%/-]+(@[\w.%+-]+)?", component.get("purl", "pkg:pypi/x")
        )
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest["content"]) for digest in component.get("hashes", ()))
    files = {component["name"]: component["hashes"] for component in bom["components"] if component["type"] == "file"}
    assert files == {file.path: [{"alg": "SHA-256", "content": file.sha256}] for file in package.files}
    assert libraries(bom)["requests"]["evidence"]["occurrences"] == [{"location": "requirements.txt", "line": 1}]


def test_locked_components_carry_their_hashes_and_say_that_they_are_locked() -> None:
    found = libraries(to_cyclonedx(package_of(MANIFESTS), "1.0.0"))
    assert found["anyio"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert found["serde"]["hashes"] == [{"alg": "SHA-256", "content": "cd" * 32}]
    assert found["anyio"]["properties"] == [{"name": "sigma:asked", "value": "locked"}]
    assert found["requests"]["properties"] == [{"name": "sigma:asked", "value": "declared"}]
    assert [each["value"] for each in found["github.com/Some/Tool"]["properties"]] == ["declared", "locked"]


def test_lock_file_that_cannot_be_read_is_named() -> None:
    root = to_cyclonedx(package_of(MANIFESTS), "1.0.0")["metadata"]["component"]
    assert {
        "name": "sigma:unreadLockFile",
        "value": "yarn.lock: 1 entries not in the format",
    } in root["properties"]


def test_the_same_tree_gives_the_same_bytes_and_another_tree_another_serial_number() -> None:
    one, again = (json.dumps(to_cyclonedx(package_of(MANIFESTS), "1.0.0")) for _ in range(2))
    other = to_cyclonedx(package_of({**MANIFESTS, "NOTES.md": "x"}), "1.0.0")
    assert one == again
    assert json.loads(one)["serialNumber"] != other["serialNumber"]


def test_credentials_in_a_source_are_not_repeated() -> None:
    assert "secret" not in json.dumps(to_cyclonedx(package_of(MANIFESTS), "1.0.0"))


def test_the_number_of_dependencies_is_bounded_and_the_bound_is_said() -> None:
    many = "".join(f"name{number}==1\n" for number in range(MAX_DEPENDENCIES + 5))
    bom = to_cyclonedx(package_of({"requirements.txt": many}), "1.0.0")
    assert len(libraries(bom)) == MAX_DEPENDENCIES
    assert {"name": "sigma:dependenciesBound", "value": str(MAX_DEPENDENCIES)} in bom["metadata"]["component"][
        "properties"
    ]


@pytest.mark.parametrize("name", sorted(MANIFESTS))
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_document(name: str, data: bytes) -> None:
    content = MANIFESTS[name]
    assert isinstance(content, str)
    cut = len(data) % (len(content) + 1)
    broken = content.encode()[:cut] + data
    json.dumps(to_cyclonedx(package_of({name: broken}), "1.0.0"), ensure_ascii=False).encode()


def test_a_file_that_includes_itself_is_read_once() -> None:
    package = package_of({"requirements.txt": "-r requirements.txt\na==1\n"})
    assert [each.name for each in listed_dependencies(package).dependencies] == ["a"]
