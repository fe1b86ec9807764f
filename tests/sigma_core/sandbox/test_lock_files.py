"""Lock files of every supported tool give names, versions, places and whether a hash fixes the bytes."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages_of_ours import package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.decision import Decision, decide
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.lock_entries import MAX_ENTRIES
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


SHA256 = hashlib.sha256(b"a").hexdigest()
SHA512 = hashlib.sha512(b"a").hexdigest()
SRI = "sha512-" + base64.b64encode(bytes.fromhex(SHA512)).decode()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GO_HASH = "h1:" + "A" * 43 + "="

# (file name, text, [(name, version, url, fixed, scope, local)], digests of the first)
Entry = tuple[str, str, str, bool, str, bool]
FORMATS: dict[str, tuple[str, str, list[Entry], list[tuple[str, str]]]] = {
    "yarn 1": (
        "yarn.lock",
        f'# yarn lockfile v1\n\n\n"@s/b@^2.0.0", "@s/b@^2.1.0":\n  version "2.1.0"\n  resolved "https://registry.yarnpkg.com/@s/b/-/b-2.1.0.tgz#0a"\n  integrity {SRI}\n  dependencies:\n    c "^1.0.0"\n',
        [("@s/b", "2.1.0", "https://registry.yarnpkg.com/@s/b/-/b-2.1.0.tgz#0a", True, "required", False)],
        [("SHA-512", SHA512)],
    ),
    "yarn berry": (
        "yarn.lock",
        '__metadata:\n  version: 8\n  cacheKey: 10c0\n\n"a@npm:^1.0.0":\n  version: 1.2.0\n  resolution: "a@npm:1.2.0"\n  checksum: 10c0/00\n  languageName: node\n\n'
        '"root@workspace:.":\n  version: 0.0.0-use.local\n  resolution: "root@workspace:."\n\n? "long@npm:^1, long@npm:^2"\n:\n  version: 2.0.0\n',
        [
            ("a", "1.2.0", "", True, "required", False),
            ("root", "0.0.0-use.local", "", True, "required", True),
            ("long", "2.0.0", "", False, "required", False),
        ],
        [],
    ),
    "pnpm 5": (
        "pnpm-lock.yaml",
        f"lockfileVersion: 5.4\n\npackages:\n\n  /@s/b/2.0.0_c@1.0.0:\n    resolution: {{integrity: {SRI}}}\n    dev: true\n\n  /a/1.0.0:\n    resolution: {{integrity: {SRI}}}\n    dev: false\n",
        [("@s/b", "2.0.0", "", True, "excluded", False), ("a", "1.0.0", "", True, "required", False)],
        [("SHA-512", SHA512)],
    ),
    "pnpm 6": (
        "pnpm-lock.yaml",
        f"lockfileVersion: '6.0'\n\npackages:\n\n  /@s/b@2.0.0(c@1.0.0):\n    resolution: {{integrity: {SRI}}}\n    optional: true\n\n"
        f"  github.com/o/r/{COMMIT}:\n    resolution: {{tarball: https://codeload.github.com/o/r/tar.gz/{COMMIT}}}\n    name: r\n    version: 3.0.0\n\n  file:lib/x:\n    resolution: {{directory: lib/x, type: directory}}\n    name: x\n    version: 0.1.0\n",
        [
            ("@s/b", "2.0.0", "", True, "optional", False),
            ("r", "3.0.0", f"https://codeload.github.com/o/r/tar.gz/{COMMIT}", False, "required", False),
            ("x", "0.1.0", "", True, "required", True),
        ],
        [("SHA-512", SHA512)],
    ),
    "pnpm 9": (
        "pnpm-lock.yaml",
        f"lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      a:\n        specifier: ^1.0.0\n        version: 1.0.0\n\npackages:\n\n  '@s/b@2.0.0':\n    resolution: {{integrity: {SRI}}}\n\n  a@1.0.0:\n    resolution: {{integrity: {SRI}}}\n\nsnapshots:\n\n  c@3.0.0: {{}}\n",
        [("@s/b", "2.0.0", "", True, "required", False), ("a", "1.0.0", "", True, "required", False)],
        [("SHA-512", SHA512)],
    ),
    "uv": (
        "uv.lock",
        f'version = 1\n\n[[package]]\nname = "me"\nsource = {{ virtual = "." }}\n\n[[package]]\nname = "a"\nversion = "1.0"\nsource = {{ registry = "https://pypi.org/simple" }}\nwheels = [\n    {{ url = "https://files.pythonhosted.org/a.whl", hash = "sha256:{SHA256}" }},\n]\n',
        [("me", "", "", True, "required", True), ("a", "1.0", "https://pypi.org/simple", True, "required", False)],
        [],
    ),
    "poetry": (
        "poetry.lock",
        f'[[package]]\nname = "a"\nversion = "1.0"\noptional = true\nfiles = [\n    {{file = "a.whl", hash = "sha256:{SHA256}"}},\n]\n\n[metadata]\nlock-version = "2.0"\n',
        [("a", "1.0", "", True, "optional", False)],
        [("SHA-256", SHA256)],
    ),
    "pipenv": (
        "Pipfile.lock",
        json.dumps(
            {
                "_meta": {"sources": [{"name": "pypi", "url": "https://pypi.org/simple"}]},
                "develop": {"a": {"version": "==1.0", "hashes": [f"sha256:{SHA256}", "md5:0"], "index": "pypi"}},
            }
        ),
        [("a", "1.0", "https://pypi.org/simple", True, "excluded", False)],
        [("SHA-256", SHA256)],
    ),
    "cargo": (
        "Cargo.lock",
        f'version = 4\n\n[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "{SHA256}"\n\n[[package]]\nname = "g"\nversion = "0.1.0"\nsource = "git+https://github.com/o/g#{COMMIT}"\n\n[[package]]\nname = "me"\nversion = "0.1.0"\n',
        [
            ("a", "1.0.0", "", True, "required", False),
            ("g", "0.1.0", f"git+https://github.com/o/g#{COMMIT}", True, "required", False),
            ("me", "0.1.0", "", True, "required", True),
        ],
        [("SHA-256", SHA256)],
    ),
    "cargo 1": (
        "Cargo.lock",
        f'[[package]]\nname = "a"\nversion = "1.0.0"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\n\n[metadata]\n"checksum a 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)" = "{SHA256}"\n',
        [("a", "1.0.0", "", True, "required", False)],
        [("SHA-256", SHA256)],
    ),
    "go": (
        "go.sum",
        f"github.com/O/r v1.2.3 {GO_HASH}\ngithub.com/O/r v1.2.3/go.mod {GO_HASH}\ngolang.org/x/text v0.3.0/go.mod {GO_HASH}\n",
        [("github.com/O/r", "v1.2.3", "", True, "required", False)],
        [],
    ),
    "bundler": (
        "Gemfile.lock",
        f"GEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.15.0-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.0)\n\nPATH\n  remote: .\n  specs:\n    me (0.1.0)\n\nPLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  nokogiri\n\nCHECKSUMS\n  nokogiri (1.15.0-x86_64-linux) sha256={SHA256}\n\nBUNDLED WITH\n   2.5.0\n",
        [
            ("nokogiri", "1.15.0", "https://rubygems.org/", True, "required", False),
            ("racc", "1.7.0", "https://rubygems.org/", False, "required", False),
            ("me", "0.1.0", "", True, "required", True),
        ],
        [("SHA-256", SHA256)],
    ),
    "composer": (
        "composer.lock",
        json.dumps(
            {
                "packages": [{"name": "v/a", "version": "1.0.0", "dist": {"type": "zip", "url": f"https://api.github.com/repos/v/a/zipball/{COMMIT}", "reference": COMMIT}}],
                "packages-dev": [{"name": "v/b", "version": "2.0.0", "dist": {"type": "zip", "url": "https://r.example/b.zip"}}],
            }
        ),
        [("v/a", "1.0.0", "", True, "required", False), ("v/b", "2.0.0", "https://r.example/b.zip", False, "excluded", False)],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_names_versions_sources_scopes_and_strong_hashes(form: str) -> None:
    name, text, entries, digests = FORMATS[form]
    lock = read_lock_file(name, text)
    assert lock is not None
    assert lock.fault == ""
    read = [(entry.name, entry.version, entry.url, entry.fixed, entry.scope, entry.local) for entry in lock.packages]
    assert read == entries
    assert list(lock.packages[0].hashes) == digests
    assert all(
        entry.name in text[entry.start : entry.end] or entry.local for entry in lock.packages if entry.name != "r"
    )


UNREADABLE = {
    "package-lock.json": ("{", "not JSON"),
    "npm-shrinkwrap.json": ("{}", "neither packages nor dependencies"),
    "yarn.lock": ('<<<<<<< HEAD\na@^1:\n  version "1.0.0"\n', "1 entries not in the format"),
    "pnpm-lock.yaml": ("lockfileVersion: '9.0'\npackages: {a@1.0.0: {}}\nx: \n", "packages are not written one a line"),
    "uv.lock": ("[[ package ]]\nname = 'a'\n", "1 entries not in the format"),
    "poetry.lock": ('[[package]]\nname = "a"\n', "1 entries not in the format"),
    "Pipfile.lock": ('{"default": {"a": 1}}', "1 entries not in the format"),
    "Cargo.lock": ('package = [{ name = "a" }]\n', "1 entries not in the format"),
    "go.sum": ("github.com/o/r v1.2.3 h2:abc\n", "1 entries not in the format"),
    "Gemfile.lock": ("gem 'a'\n", "no DEPENDENCIES"),
    "composer.lock": ("{}", "no packages"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_lock_file_that_cannot_be_read_is_a_gap_in_the_coverage(name: str) -> None:
    text, fault = UNREADABLE[name]
    lock = read_lock_file(name, text)
    assert lock is not None
    assert lock.fault == fault
    facts = derive_facts(package_of({f"app/{name}": text}), load_policy())
    assert not facts.complete
    assert {"file": f"app/{name}", "analyser": "lock_file", "reason": fault} in facts.document["coverage"]["incidents"]
    assert decide(facts.document) is Decision.WARN


def test_lock_file_of_bytes_that_are_no_text_is_a_gap_in_the_coverage() -> None:
    facts = derive_facts(package_of({"yarn.lock": b"\x00\xff\xfe\x80" * 40}), load_policy())
    assert [cause["file"] for cause in facts.document["coverage"]["incidents"]] == ["yarn.lock"]


def test_lock_file_that_is_read_is_no_gap() -> None:
    files = {f"{number}/{name}": text for number, (name, text, _, _) in enumerate(FORMATS.values())}
    facts = derive_facts(package_of({**files, "empty/yarn.lock": "\n"}), load_policy())
    assert facts.complete


def test_number_of_packages_is_bounded_and_the_bound_is_said() -> None:
    many = "".join(f"example.org/m{number} v1.0.0 {GO_HASH}\n" for number in range(MAX_ENTRIES + 3))
    lock = read_lock_file("go.sum", many)
    assert lock is not None
    assert len(lock.packages) == MAX_ENTRIES
    assert lock.fault == f"more than {MAX_ENTRIES} packages"


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
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_damaged_lock_file_is_no_fault(form: str, data: st.DataObject) -> None:
    name, text, _, _ = FORMATS[form]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    read_lock_file(name, text[:start] + data.draw(st.text(max_size=20)) + text[end:])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*sorted(TEXTS), "composer.lock"]), st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["packages", "dependencies", "", "node_modules/a", "resolved", "_meta", "sources", "default", "name"]), one, max_size=4), max_leaves=12))  # fmt: skip
def test_json_of_any_shape_is_no_fault(name: str, document: object) -> None:
    read_lock_file(name, json.dumps(document))
