"""What SKILL.md declares, in one shape; what two readers may read differently is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sigma_core.policy import load_policy
from sigma_core.submissions.manifest import empty_manifest, read_manifest
from sigma_core.submissions.refusal import Refusal

LIMITS = load_policy().package
HEAD = "name: greeter\ndescription: Greets people.\n"


def manifest_of(front: str, body: str = "# Greeter\n") -> dict[str, Any]:
    return read_manifest(f"---\n{front}---\n{body}".encode(), LIMITS)


def refusal_of(front: str, body: str = "# Greeter\n") -> Refusal:
    with pytest.raises(Refusal) as caught:
        manifest_of(front, body)
    return caught.value


def problems(manifest: dict[str, Any]) -> list[tuple[str, int]]:
    return [(problem["code"], problem["line"]) for problem in manifest["problems"]]


class TestFrontMatter:
    def test_the_public_format(self) -> None:
        manifest = manifest_of(
            HEAD
            + "license: MIT\nhomepage: https://greeter.example\ncompatibility: any\n"
            + "allowed-tools: Bash(git add:*) Read\nmetadata:\n  author: someone\n  version: '1.0'\n"
        )
        assert manifest["name"] == "greeter"
        assert manifest["description"] == "Greets people."
        assert manifest["license"] == "MIT"
        assert manifest["homepage"] == "https://greeter.example"
        assert manifest["allowedTools"] == ["Bash(git add:*)", "Read"]
        assert manifest["metadata"] == {"author": "someone", "version": "1.0"}
        assert manifest["version"] == "1.0"
        assert manifest["other"] == {"compatibility": "any"}
        assert manifest["positions"]["description"] == 3
        assert manifest["sources"][0] == {
            "kind": "frontMatter",
            "lineStart": 2,
            "lineEnd": 10,
            "keys": ["name", "description", "license", "homepage", "compatibility", "allowedTools", "metadata"],
        }
        assert problems(manifest) == []

    def test_every_manifest_has_every_key(self) -> None:
        assert manifest_of(HEAD).keys() == empty_manifest().keys()

    def test_the_surface(self) -> None:
        manifest = manifest_of(
            HEAD
            + "safety: {network: true, filesystem: [read, write]}\n"
            + "capabilities:\n  - network\n  - name: process\n"
            + "externalCalls:\n  - url: https://api.example/v1\n    method: POST\n    auth: bearer\n    reason: greets\n"
            + "  - https://other.example\n"
            + "endpoints:\n  - {method: get, path: /hello, auth: false}\n  - POST /bye\n  - /plain\n"
        )
        assert manifest["safety"] == {"network": "true", "filesystem": "read, write"}
        assert manifest["capabilities"] == ["network", "process"]
        assert manifest["externalCalls"] == [
            {"url": "https://api.example/v1", "method": "POST", "auth": "bearer", "reason": "greets"},
            {"url": "https://other.example", "method": None, "auth": None, "reason": None},
        ]
        assert manifest["endpoints"] == [
            {"method": "GET", "path": "/hello", "auth": "false"},
            {"method": "POST", "path": "/bye", "auth": None},
            {"method": None, "path": "/plain", "auth": None},
        ]
        assert manifest["positions"]["externalCalls[1]"] == 13
        assert manifest["positions"]["safety.network"] == 4

    @pytest.mark.parametrize("key", ["externalCalls", "external_calls", "external-calls"])
    def test_both_spellings_are_read(self, key: str) -> None:
        assert manifest_of(f"{HEAD}{key}: [https://a.example]\n")["externalCalls"][0]["url"] == "https://a.example"

    @pytest.mark.parametrize("tools", ["Bash, Read", "Bash Read", "[Bash, Read]", "\n  - Bash\n  - Read"])
    def test_every_spelling_of_allowed_tools(self, tools: str) -> None:
        assert manifest_of(f"{HEAD}allowed-tools: {tools}\n")["allowedTools"] == ["Bash", "Read"]

    @pytest.mark.parametrize(
        ("written", "read"),
        [("1.10", "1.10"), ("2024-01-02", "2024-01-02"), ("1e3", "1e3"), ("0x10", "0x10"), ("12", "12"), ("'2'", "2")],
    )
    def test_a_text_stays_to_the_letter(self, written: str, read: str) -> None:
        assert manifest_of(f"{HEAD}version: {written}\n")["version"] == read

    def test_plain_values_keep_what_all_yaml_versions_agree_on(self) -> None:
        metadata = manifest_of(f"{HEAD}metadata: {{a: yes, b: 1.5, c: 7, d: true, e: null, f: 2024-01-02, g: 010}}\n")
        assert metadata["metadata"] == {
            "a": "yes",
            "b": "1.5",
            "c": 7,
            "d": True,
            "e": None,
            "f": "2024-01-02",
            "g": "010",
        }

    def test_keys_are_ascii_with_escapes(self) -> None:
        assert manifest_of(f"{HEAD}metadata: {{é: 1}}\n")["metadata"] == {"\\xe9": 1}

    def test_byte_order_mark_and_crlf(self) -> None:
        text = f"\ufeff---\n{HEAD}version: 2\n---\nbody\n".replace("\n", "\r\n")
        manifest = read_manifest(text.encode(), LIMITS)
        assert (manifest["name"], manifest["version"]) == ("greeter", "2")
        assert manifest["positions"]["version"] == 4

    def test_a_type_counts_only_when_it_is_a_product_type(self) -> None:
        assert manifest_of(f"{HEAD}type: SKILL_API\n")["productType"] == "SKILL_API"
        assert manifest_of(f"{HEAD}type: game\n")["productType"] is None


class TestWhatPublishedSkillsDo:
    """Honest published skills have these faults; they are told, and nothing is made up for what is missing."""

    def test_no_front_matter(self) -> None:
        manifest = read_manifest(b"# Greeter\n", LIMITS)
        assert manifest["name"] is None
        assert problems(manifest) == [("NO_FRONT_MATTER", 1), ("NAME_MISSING", 1), ("DESCRIPTION_MISSING", 1)]

    def test_front_matter_after_a_blank_line_is_none(self) -> None:
        manifest = read_manifest(f"\n---\n{HEAD}---\n".encode(), LIMITS)
        assert manifest["name"] is None
        assert problems(manifest)[0] == ("NO_FRONT_MATTER", 1)

    def test_an_unquoted_colon(self) -> None:
        manifest = manifest_of("name: greeter\ndescription: Greets. Use: when asked\nversion: 1\n")
        assert manifest["description"] == "Greets. Use: when asked"
        assert problems(manifest) == [("FRONT_MATTER_NOT_YAML", 3)]

    def test_brackets_that_are_no_list(self) -> None:
        manifest = manifest_of(HEAD + "argument-hint: [title] [message]\nexternalCalls: [https://a.example]\n")
        assert (manifest["name"], manifest["description"]) == ("greeter", "Greets people.")
        assert manifest["externalCalls"] == []
        assert problems(manifest) == [("FRONT_MATTER_NOT_YAML", 4)]

    def test_no_closing_line(self) -> None:
        manifest = read_manifest(f"---\n{HEAD}\n# Greeter\nversion: 3\n".encode(), LIMITS)
        assert (manifest["name"], manifest["version"]) == ("greeter", None)
        assert problems(manifest) == [("FRONT_MATTER_UNTERMINATED", 1)]

    def test_a_value_of_the_wrong_shape_is_told_and_not_read(self) -> None:
        manifest = manifest_of(f"{HEAD}capabilities: everything\nmetadata: text\nsafety: [a]\nversion: [1]\n")
        assert manifest["capabilities"] == []
        assert manifest["metadata"] == {}
        assert manifest["version"] is None
        assert problems(manifest) == [("WRONG_SHAPE", 4), ("WRONG_SHAPE", 5), ("WRONG_SHAPE", 6), ("WRONG_SHAPE", 7)]


class TestFencedBlocks:
    BLOCK = "```yaml\ncapabilities: [network]\nexternal_calls:\n  - url: https://a.example\n```\n"

    def test_a_block_of_manifest_keys_is_read(self) -> None:
        manifest = manifest_of(HEAD, f"# Greeter\n\n{self.BLOCK}")
        assert manifest["capabilities"] == ["network"]
        assert manifest["externalCalls"][0]["url"] == "https://a.example"
        assert manifest["positions"]["capabilities"] == 8
        assert manifest["sources"][1] == {
            "kind": "fence",
            "lineStart": 8,
            "lineEnd": 10,
            "keys": ["capabilities", "externalCalls"],
        }

    @pytest.mark.parametrize(
        "body",
        [
            "```yaml\nkind: Pod\ncapabilities: [NET_ADMIN]\n```\n",
            "```yaml\nname: only\ndescription: prose\n```\n",
            "```json\ncapabilities: [network]\n```\n",
            "<!--\n```yaml\ncapabilities: [network]\n```\n-->\n",
            "```yaml\ncapabilities: [network]\n",
            "````text\n```yaml\ncapabilities: [network]\n```\n````\n",
            "    ```yaml\n    capabilities: [network]\n    ```\n",
        ],
    )
    def test_other_blocks_are_examples(self, body: str) -> None:
        manifest = manifest_of(HEAD, body)
        assert manifest["capabilities"] == []
        assert len(manifest["sources"]) == 1

    @pytest.mark.parametrize("fence", ["~~~", "`````"])
    def test_other_fences(self, fence: str) -> None:
        assert manifest_of(HEAD, f"  {fence}YML\ncapabilities: [a]\n{fence}\n")["capabilities"] == ["a"]

    def test_a_block_that_differs_from_the_front_matter_is_a_conflict(self) -> None:
        manifest = manifest_of(f"{HEAD}capabilities: [process]\n", self.BLOCK)
        assert manifest["capabilities"] == ["process"]
        assert manifest["conflicts"] == [{"key": "capabilities", "lines": [4, 7]}]

    def test_a_block_that_repeats_the_front_matter_is_none(self) -> None:
        assert manifest_of(f"{HEAD}capabilities: [network]\n", self.BLOCK)["conflicts"] == []

    def test_a_manifest_block_that_is_not_yaml_is_refused(self) -> None:
        refusal = refusal_of(HEAD, "```yaml\ncapabilities: [network\n```\n")
        assert (refusal.code, refusal.line) == ("BROKEN_MANIFEST", 7)

    def test_the_number_of_blocks_is_limited(self) -> None:
        refusal = refusal_of(HEAD, self.BLOCK * 17)
        assert (refusal.code, refusal.limit) == ("LIMIT_MANIFEST_BLOCKS", 16)


class TestRefusals:
    @pytest.mark.parametrize(
        ("front", "code", "line"),
        [
            ("name: twice\n", "HOSTILE_MANIFEST_DUPLICATE_KEY", 4),
            ("metadata:\n  a: 1\n  a: 2\n", "HOSTILE_MANIFEST_DUPLICATE_KEY", 6),
            ("externalCalls: []\nexternal_calls: []\n", "HOSTILE_MANIFEST_DUPLICATE_KEY", 5),
            ("metadata: &anchor {a: 1}\n", "HOSTILE_MANIFEST_ALIAS", 4),
            ("metadata: *alias\n", "HOSTILE_MANIFEST_ALIAS", 4),
            ("? &key k\n: v\n", "HOSTILE_MANIFEST_ALIAS", 4),
            ("<<: {a: 1}\n", "HOSTILE_MANIFEST_ALIAS", 4),
            ("metadata: !!python/object:os.system {}\n", "HOSTILE_MANIFEST_TAG", 4),
            ("version: !!str 1\n", "HOSTILE_MANIFEST_TAG", 4),
            ("version: ! 1\n", "HOSTILE_MANIFEST_TAG", 4),
            ("1: a\n", "BROKEN_MANIFEST", 4),
            ("metadata: {true: a}\n", "BROKEN_MANIFEST", 4),
            ("null: a\n", "BROKEN_MANIFEST", 4),
            ("[a, b]: c\n", "BROKEN_MANIFEST", 4),
            ("homepage: a\rversion: 2\n", "HOSTILE_MANIFEST_CHARACTER", 4),
            ("homepage: a\u2028version: 2\n", "HOSTILE_MANIFEST_CHARACTER", 4),
            ("homepage: a\x85version: 2\n", "HOSTILE_MANIFEST_CHARACTER", 4),
            ("a: [[[[[[[[[[[[[1]]]]]]]]]]]]]\n", "LIMIT_MANIFEST_DEPTH", 4),
            ("a: [" + "1," * 4000 + "]\n", "LIMIT_MANIFEST_NODES", 4),
            ("a: " + "x" * 65_536 + "\n", "LIMIT_MANIFEST_BYTES", 2),
        ],
    )
    def test_what_readers_disagree_on(self, front: str, code: str, line: int) -> None:
        refusal = refusal_of(HEAD + front)
        assert (refusal.code, refusal.line, refusal.member) == (code, line, "SKILL.md"), refusal
        assert refusal.message.startswith(f"SKILL.md:{line}: ")

    def test_the_message_names_the_key_and_the_line(self) -> None:
        assert "SKILL.md:4: " in refusal_of(f"{HEAD}name: b\n").message
        assert "[found key 'name' appears twice]" in refusal_of(f"{HEAD}name: b\n").message

    @pytest.mark.parametrize(
        "front",
        ["name: [unclosed\n", "name: 'unclosed\n", "just text\n", "- a\n- b\n", "name: a\n\tdescription: b: c\n"],
    )
    def test_broken_front_matter_without_readable_name_and_description(self, front: str) -> None:
        assert refusal_of(front).code == "BROKEN_MANIFEST"

    def test_a_name_twice_in_front_matter_that_is_not_yaml(self) -> None:
        refusal = refusal_of("name: a\ndescription: b: c\nname: evil\n")
        assert refusal.code == "HOSTILE_MANIFEST_DUPLICATE_KEY"

    @pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf\r\n"])
    def test_an_empty_file(self, content: bytes) -> None:
        with pytest.raises(Refusal, match="an empty file"):
            read_manifest(content, LIMITS)

    @pytest.mark.parametrize("content", ["name: é".encode("latin-1"), "---\nname: a\n---\n".encode("utf-16")])
    def test_other_encodings(self, content: bytes) -> None:
        with pytest.raises(Refusal) as caught:
            read_manifest(content, LIMITS)
        assert caught.value.code == "BROKEN_MANIFEST_ENCODING"
