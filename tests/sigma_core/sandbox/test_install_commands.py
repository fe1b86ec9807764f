"""Install commands are read wherever they are written, and prose is not read into them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.install_commands import MAX_COMMANDS, install_commands


def _asked(text: str) -> list[tuple[str, str, str]]:
    return [
        (wanted.name, wanted.version, wanted.url) for command in install_commands(text) for wanted in command.wanted
    ]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "pip install requests==2.0 'flask>=2' \"numpy[x]\"",
            [("requests", "2.0", ""), ("flask", "2", ""), ("numpy", "", "")],
        ),
        (
            "python3 -m pip install -U pip setuptools \\\n  wheel",
            [("pip", "", ""), ("setuptools", "", ""), ("wheel", "", "")],
        ),
        ('subprocess.check_call([sys.executable, "-m", "pip", "install", "tool", "-q"])', [("tool", "", "")]),
        ('print("Run: pip install agentmail")', [("agentmail", "", "")]),
        ("Use `npm i -g @scope/tool@1.2.3` to start.", [("@scope/tool", "1.2.3", "")]),
        ("Use npm install left-pad to make it work", [("left-pad", "", "")]),
        ("RUN pip install one && npm i two", [("one", "", ""), ("two", "", "")]),
        ("npx -y tool@2 serve --port 1", [("tool", "2", "")]),
        ("npx -p maker make-thing", [("maker", "", "")]),
        ("uvx --from git+https://github.com/a/b tool", [("", "", "git+https://github.com/a/b")]),
        ("npm i owner/repo#main", [("", "", "git+https://github.com/owner/repo#main")]),
        ("go install github.com/a/b@latest", [("github.com/a/b", "latest", "")]),
        ("cargo install --git https://github.com/a/b", [("", "", "https://github.com/a/b")]),
        ("brew tap a/b https://c.example/x.git", [("a/b", "", ""), ("", "", "https://c.example/x.git")]),
        ("pip install -r requirements.txt", []),
        ("pip install . && ls", []),
        ("npm install", []),
        ("The pip installer reads names.", []),
    ],
)
def test_command_is_read_for_what_it_fetches(text: str, asked: list[tuple[str, str, str]]) -> None:
    assert _asked(text) == asked


def test_indexes_and_unchecked_hosts_are_read() -> None:
    (command,) = install_commands(
        "pip install --index-url=http://a.example/simple --extra-index-url https://b.example --trusted-host a.example tool"
    )
    assert command.indexes == [("--index-url", "http://a.example/simple"), ("--extra-index-url", "https://b.example")]
    assert command.trusted_hosts == ["a.example"]


def test_places_are_those_of_the_names() -> None:
    text = "First: pip install 'alpha==1' beta\n"
    (command,) = install_commands(text)
    assert [text[wanted.start : wanted.end] for wanted in command.wanted] == ["alpha==1", "beta"]


def test_commands_of_one_file_are_bounded() -> None:
    assert len(list(install_commands("pip install a1\n" * 1_000))) == MAX_COMMANDS


PIECES = st.sampled_from(["pip install ", "npx ", '"pip", "install", ', "-i ", "--index-url=", "--trusted-host ", "git+https://a.b/c ", "a==1", " '", '"', "\\\n", "\n", ",", "[", "]", "@", "#", "x" * 50, "é"])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_gives_places_inside_it(text: str) -> None:
    for command in install_commands(text):
        assert 0 <= command.start <= command.end <= len(text)
        assert all(command.start <= wanted.start <= wanted.end <= len(text) for wanted in command.wanted)
