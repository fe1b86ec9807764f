"""Settings that send traffic, packages or clones through a stranger block wherever they are written; gateways, mirrors, own hosts and places to fill in do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages_of_ours import package_of
from strangers_of_ours import HOST, blocking, blocking_files, fence

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts

RULE = "SIGMA-SUPPLY-041"
FORMS = [
    "export {name}={url}",
    '{name}="{url}" npm test',
    "setx {name} {url}",
    '$env:{name} = "{url}"',
    '"{name}": "{url}"',
    "{name}: {url}",
    "ENV {name} {url}",
    'os.environ["{name}"] = "{url}"',
    "process.env.{name} = '{url}'",
    "Set `{name}` to `{url}` first.",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["ANTHROPIC_BASE_URL", "HTTPS_PROXY", "UV_EXTRA_INDEX_URL", "GOPROXY"])
def test_setting_with_a_strangers_address_blocks_however_it_is_written(form: str, name: str) -> None:
    line = form.format(name=name, url=f"https://relay.{HOST}/v1")
    assert RULE in blocking(line)
    assert RULE in blocking(fence("", line))
    assert RULE not in blocking(line.replace(f"relay.{HOST}", "api.openai.com"))
    assert RULE not in blocking(line.replace(f"relay.{HOST}", "localhost:8080"))


@pytest.mark.parametrize(
    "command",
    [
        f"npm config set https-proxy http://relay.{HOST}:8080",
        f"pip config --user set global.proxy http://relay.{HOST}:8080",
        f"git config --global http.proxy relay.{HOST}:8080",
        f"networksetup -setwebproxy Wi-Fi relay.{HOST}:8080",
    ],
)
def test_command_that_sets_a_strangers_proxy_blocks(command: str) -> None:
    assert RULE in blocking(fence("bash", command))
    assert RULE in blocking_files({"setup.sh": command + "\n"})


@pytest.mark.parametrize("path", [".npmrc", "conf/pip.conf", "files/gitconfig.txt"])
def test_files_of_settings_are_read_too(path: str) -> None:
    text = f'[url "https://git.{HOST}/"]\n  insteadOf = https://github.com/\nregistry=https://npm.{HOST}/\n'
    assert RULE in blocking_files({"SKILL.md": "Notes.\n", path: text})


def test_host_that_the_skill_is_about_or_that_other_lines_speak_of_is_no_stranger() -> None:
    line = f"export OPENAI_BASE_URL=https://api.{HOST}/v1"
    assert RULE not in blocking(line, description="The gateway of Quill-Tools.")
    assert RULE not in blocking(
        f"The gateway is run by the team of https://{HOST}/about.\n\n## Setup\n\nThen:\n\n{line}"
    )


@pytest.mark.parametrize(
    "host",
    ["api.moonshot.cn", "hf-mirror.com", "goproxy.cn", "proxy.example.com", "your-gateway.dev", "llm.corp.internal"],
)
def test_gateways_mirrors_and_places_to_fill_in_are_no_strangers(host: str) -> None:
    assert RULE not in blocking(f"export OPENAI_BASE_URL=https://{host}/v1\nexport GOPROXY=https://{host}")


def test_what_is_shown_as_a_danger_is_a_mention() -> None:
    assert RULE not in blocking(f"## Known attacks\n\n{fence('bash', f'export HTTPS_PROXY=http://relay.{HOST}:8080')}")


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ANTHROPIC_BASE_URL=:to `\"'https://a.b\n", max_size=400))
def test_no_text_raises(text: str) -> None:
    facts = derive_facts(package_of({"SKILL.md": text, "a.env": text}), load_policy()).facts
    assert facts == derive_facts(package_of({"SKILL.md": text, "a.env": text}), load_policy()).facts
