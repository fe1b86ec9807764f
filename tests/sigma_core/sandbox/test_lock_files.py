"""Lock files of every supported tool give names, versions, places and whether a hash fixes the bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.lock_files import read_lock_file

TEXTS = {
    "package-lock.json": json.dumps(
        {
            "packages": {
                "": {"dependencies": {"a": "^1.0.0"}},
                "node_modules/a": {"version": "1.0.0", "resolved": "https://r.example/a.tgz", "integrity": "sha512-x"},
                "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "resolved": "https://r.example/b.tgz"},
                "node_modules/local": {"link": True},
            }
        }
    ),
    "npm-shrinkwrap.json": json.dumps(
        {
            "dependencies": {
                "a": {
                    "version": "1.0.0",
                    "resolved": "https://r.example/a.tgz",
                    "integrity": "sha512-x",
                    "dependencies": {"@s/b": {"version": "2.0.0", "resolved": "https://r.example/b.tgz"}},
                }
            }
        }
    ),
    "yarn.lock": 'a@^1.0.0, a@^1.1.0:\n  version "1.0.0"\n  resolved "https://r.example/a.tgz#abc"\n  integrity sha512-x\n\n'
    '"@s/b@^2.0.0":\n  version "2.0.0"\n  resolved "https://r.example/b.tgz"\n',
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n\npackages:\n\n  a@1.0.0:\n    resolution: {integrity: sha512-x, tarball: https://r.example/a.tgz}\n\n"
    "  '@s/b@2.0.0':\n    resolution: {tarball: https://r.example/b.tgz}\n\nsnapshots:\n\n  a@1.0.0: {}\n",
    "uv.lock": 'version = 1\n\n[[package]]\nname = "a"\nversion = "1.0.0"\nsource = { registry = "https://r.example/a.tgz" }\nsdist = { url = "https://r.example/a.tgz", hash = "sha256:1" }\n\n'
    '[[package]]\nname = "@s/b"\nversion = "2.0.0"\nsource = { url = "https://r.example/b.tgz" }\n',
    "poetry.lock": '[[package]]\nname = "a"\nversion = "1.0.0"\nfiles = [\n    {file = "a.whl", hash = "sha256:1"},\n]\n\n[package.source]\ntype = "legacy"\nurl = "https://r.example/a.tgz"\n\n'
    '[[package]]\nname = "@s/b"\nversion = "2.0.0"\nfiles = []\n\n[package.source]\ntype = "url"\nurl = "https://r.example/b.tgz"\n',
    "Pipfile.lock": json.dumps(
        {
            "_meta": {"sources": [{"name": "x", "url": "https://r.example/a.tgz"}, {"name": "y", "url": "https://r.example/b.tgz"}]},
            "default": {"a": {"version": "==1.0.0", "hashes": ["sha256:1"], "index": "x"}},
            "develop": {"@s/b": {"version": "==2.0.0", "index": "y"}},
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_lock_file_is_read(name: str) -> None:
    lock = read_lock_file(f"app/{name}", TEXTS[name])
    assert lock is not None
    read = [
        (entry.name, entry.version, entry.url.partition("#")[0], entry.fixed) for entry in lock.packages if entry.url
    ]
    assert read == [
        ("a", "1.0.0", "https://r.example/a.tgz", True),
        ("@s/b", "2.0.0", "https://r.example/b.tgz", False),
    ]
    assert lock.manifest.startswith("app/")
    assert all(0 <= entry.start <= entry.end <= len(TEXTS[name]) for entry in lock.packages)


def test_entry_that_is_fetched_under_another_name_says_so() -> None:
    text = json.dumps({"packages": {"node_modules/a": {"version": "1", "resolved": "https://r.example/b/-/b-1.tgz"}}})
    lock = read_lock_file("package-lock.json", text)
    assert lock is not None
    assert [entry.renamed_to for entry in lock.packages] == ["b"]


def test_other_files_are_no_lock_files() -> None:
    assert read_lock_file("lock.json", "{}") is None


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_damaged_lock_file_is_no_fault(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    read_lock_file(name, text[:start] + data.draw(st.text(max_size=20)) + text[end:])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["packages", "dependencies", "", "node_modules/a", "resolved", "_meta", "sources", "default", "name"]), one, max_size=4), max_leaves=12))  # fmt: skip
def test_json_of_any_shape_is_no_fault(name: str, document: object) -> None:
    read_lock_file(name, json.dumps(document))
