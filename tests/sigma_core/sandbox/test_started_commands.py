"""Commands that start by themselves are found in the file of each format, with their trigger and place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.started_commands import MAX_COMMANDS, Trigger, read_json, servers, started_commands

FILES: dict[str, tuple[str, list[tuple[Trigger, str]]]] = {
    "package.json": ('{"scripts": {"build": "tsc", "postinstall": "node x.js", "prepare": "husky"}}', [(Trigger.INSTALL, "node x.js"), (Trigger.INSTALL, "husky")]),
    "native/binding.gyp": ("{'targets': [{'sources': ['<!(node -p 1)']}]}", [(Trigger.INSTALL, "node -p 1")]),
    ".vscode/tasks.json": ('{ // on opening\n"tasks": [{"command": "sh", "args": ["-c", "a b"], "runOptions": {"runOn": "folderOpen"}}, {"command": "make"},]}', [(Trigger.EDITOR, "sh -c 'a b'")]),
    ".devcontainer/devcontainer.json": ('{"postCreateCommand": {"x": ["npm", "ci"]}, "initializeCommand": "./a.sh"}', [(Trigger.CONTAINER, "./a.sh"), (Trigger.CONTAINER, "npm ci")]),
    ".claude/settings.json": ('{"apiKeyHelper": "./key.sh", "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "./s.sh"}]}]}}', [(Trigger.AGENT, "./s.sh"), (Trigger.AGENT, "./key.sh")]),
    "hooks/hooks.json": ('{"hooks": {"PreToolUse": [{"matcher": "*", "command": "./p.sh"}]}}', [(Trigger.AGENT, "./p.sh")]),
    ".mcp.json": ('{"mcpServers": {"a": {"command": "sh", "args": ["-c", "x | y"]}, "b": {"url": "https://b.example"}}}', [(Trigger.SERVER, "sh -c 'x | y'")]),
    ".envrc": ("export A=1\n", [(Trigger.ENTERING, "export A=1\n")]),
    ".husky/pre-commit": ("npx lint-staged\n", [(Trigger.GIT, "npx lint-staged\n")]),
    "Dockerfile": ('FROM x\nRUN one && \\\n  two\nRUN ["three", "a b"]\n', [(Trigger.BUILD, "one &&    two"), (Trigger.BUILD, "three 'a b'")]),
    ".github/workflows/ci.yml": ("jobs:\n  a:\n    steps:\n      - run: make\n      - uses: x/y@v1\n", [(Trigger.WORKFLOW, "make")]),
    "SKILL.md": ("---\nname: a\nhooks:\n  Stop:\n    - hooks:\n        - type: command\n          command: ./s.sh\ndescription: b\n---\nNow: !`git status`, not `git log`.\n", [(Trigger.AGENT, "./s.sh"), (Trigger.LOADING, "git status")]),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES)
def test_started_commands_of_a_file(path: str) -> None:
    text, expected = FILES[path]
    found = started_commands(path, text)
    assert [(command.trigger, command.text) for command in found] == expected
    assert all(0 <= command.start <= command.end <= len(text) for command in found)


def test_only_builds_and_workflows_are_asked_for() -> None:
    assert {trigger for trigger in Trigger if not trigger.unasked} == {Trigger.BUILD, Trigger.WORKFLOW}


@pytest.mark.parametrize("path", ["scripts/run.sh", "README.md", "settings.json", "data.json", "docs/tasks.yaml"])
def test_other_files_start_nothing(path: str) -> None:
    assert started_commands(path, '{"hooks": {"a": [{"command": "x"}]}, "scripts": {"postinstall": "y"}}') == []


def test_settings_that_are_not_json_still_give_their_commands() -> None:
    found = started_commands(".claude/settings.json", '{"hooks": {"a": [{"command": "bash -lc x"}], oops')
    assert [command.text for command in found] == ["bash -lc x"]


def test_servers_give_their_address_or_command() -> None:
    text = '{"servers": {"a": {"command": "npx", "args": ["-y", "t"]}}, "mcpServers": {"b": {"serverUrl": "https://b.example"}}}'
    assert [(server.name, server.command, server.url) for server in servers(text)] == [
        ("b", (), "https://b.example"),
        ("a", ("npx", "-y", "t"), ""),
    ]


def test_json_with_comments_keeps_what_stands_in_strings() -> None:
    assert read_json('{"a": "// not, ] a comment", /* one */ "b": [1, 2,], // two\n}') == {
        "a": "// not, ] a comment",
        "b": [1, 2],
    }


def test_commands_of_one_file_are_bounded() -> None:
    text = json.dumps({"hooks": {"a": [{"command": f"c{at}"} for at in range(500)]}})
    assert len(started_commands("hooks/hooks.json", text)) == MAX_COMMANDS
    assert started_commands("hooks/hooks.json", '{"a":' * 50_000) == []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_file_is_no_fault(path: str, data: st.DataObject) -> None:
    text = FILES[path][0]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    damaged = text[:start] + data.draw(st.text(max_size=20)) + text[end:]
    assert all(0 <= command.start <= command.end <= len(damaged) for command in started_commands(path, damaged))
