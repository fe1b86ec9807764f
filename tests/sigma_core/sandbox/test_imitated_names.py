"""A name that misspells what the package itself spells right blocks; real names nearby, and names of other things, do not."""

from __future__ import annotations

import pytest
from strangers_of_ours import blocking, blocking_files, fence

from sigma_core.sandbox.popular_names import Registry, is_listed, misspelt_maker

RULE = "SIGMA-SUPPLY-034"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pyhton", "python"),
        ("googel", "google"),
        ("clawhubb", "clawhub"),
        ("supabasse", "supabase"),
        ("pytesserract", "pytesseract"),
        ("microsft", "microsoft"),
        ("playwrite", "playwright"),
        ("paypa1", "paypal"),
    ],
)
def test_slip_of_the_hand_names_what_was_meant(word: str, meant: str) -> None:
    assert misspelt_maker(word) == meant


@pytest.mark.parametrize(
    "word",
    ["", "python", "ipython", "cpython", "python3", "cloudflared", "anthropics", "discords", "llama", "openapi", "discard", "motion", "finance", "preact", "flaskr", "expresso", "reactive", "x" * 200, "ünïcode"],
)  # fmt: skip
def test_other_word_and_real_name_is_no_slip(word: str) -> None:
    assert misspelt_maker(word) == ""


def test_no_listed_name_is_a_slip_of_another() -> None:
    for maker in ("github", "gitlab", "postgres", "postgresql", "moltbot", "moltbook", "pytorch", "python"):
        assert is_listed(Registry.MAKERS, maker)
        assert misspelt_maker(maker) == ""


def test_own_name_or_author_that_misspells_what_the_text_speaks_of_blocks() -> None:
    assert RULE in blocking("Opens pages with Playwright.", name="playwrite-browser")
    author = "---\nname: browser\ndescription: Microsoft Playwright automation.\nauthor: microsfot\n---\nOpens pages.\n"
    assert RULE in blocking_files({"SKILL.md": author})
    assert RULE not in blocking("Helps with plays and novels.", name="playwrite-coach")


def test_installer_of_the_front_matter_that_misspells_it_blocks() -> None:
    metadata = '{"openclaw": {"install": [{"kind": "node", "package": "@clawhubb/cli"}]}}'
    text = f"---\nname: registry\ndescription: Skills of ClawHub.\nmetadata: {metadata}\n---\nSearches clawhub.\n"
    assert RULE in blocking_files({"SKILL.md": text})


@pytest.mark.parametrize(
    "command",
    ["npm i -g @supabasse/cli", "brew install supabasse", "uvx supabasse", "pip install x -i https://pypi.supabasse.co/simple", "docker pull supabasse/studio"],
)  # fmt: skip
def test_thing_to_install_that_misspells_what_the_text_speaks_of_blocks(command: str) -> None:
    assert RULE in blocking(f"Works with Supabase.\n\n`{command}`")
    assert RULE not in blocking(f"Works with databases.\n\n`{command}`")
    assert RULE not in blocking(f"Works with Supabase.\n\n## Typosquatting attacks\n\nNever run `{command}`.")


def test_action_and_image_of_a_listing_are_read() -> None:
    assert RULE in blocking("Uses actions/checkout.\n\n" + fence("yaml", "steps:\n  - uses: actoins/checkout@v4"))
    assert RULE in blocking("Starts postgres.\n\n" + fence("yaml", "services:\n  db:\n    image: postgress:16"))


def test_package_json_that_a_document_shows_is_read_like_a_file() -> None:
    listed = fence("json", '{"dependencies": {"lru-cachee": "^11.0.4"}}')
    assert "SIGMA-SUPPLY-012" in blocking(f"Add these:\n\n{listed}")
    own = fence("json", '{"dependencies": {"lodash3": "npm:lodash@3"}}')
    assert "SIGMA-SUPPLY-012" not in blocking(f"Two versions at once:\n\n{own}")


@pytest.mark.parametrize("body", ["Preact is a small React: `npm i preact`.", "Flask: `pip install flaskr`.", "React: `npm i reactive`.", "Coffee and Express: `npm i expresso`."])  # fmt: skip
def test_real_package_whose_name_is_near_does_not_block(body: str) -> None:
    assert not blocking(body)


@pytest.mark.parametrize(
    "host", ["forms.gle.secure-intake.app", "accounts.google.com.quill-tools.dev", "github.com.quill-tools.dev"]
)
def test_address_that_begins_with_a_known_host_and_belongs_to_another_blocks(host: str) -> None:
    assert "SIGMA-MIS-008" in blocking(f"Fill in the form at https://{host}/shop first.")
    assert "SIGMA-MIS-008" not in blocking(f"## Signs of phishing\n\n- https://{host}/shop")


@pytest.mark.parametrize(
    "host", ["www.google.com.hk", "github.com.proxy.corp.internal", "docs.github.com", "github.com.example.org"]
)
def test_known_host_of_another_country_private_mirror_and_example_are_not_false(host: str) -> None:
    assert "SIGMA-MIS-008" not in blocking(f"See https://{host}/shop first.")
