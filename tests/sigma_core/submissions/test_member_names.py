"""Names that every reader and file system understands alike are accepted; pairs that any of them takes for one are not."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.policy import load_policy
from sigma_core.submissions.member_names import TakenNames, check_name, folded, refuse_clashes
from sigma_core.submissions.refusal import Refusal

LIMITS = load_policy().package


@pytest.mark.parametrize(
    "name",
    [
        "SKILL.md",
        "a/b/c.txt",
        ".github/workflows/ci.yml",
        ".env.example",
        "docs/My File (1).md",
        "説明/読んで.md",
        "données/été.md",
        "🎉.md",
        "Bildschirmfoto 2024\u202fPM.png",
        "console.log.md",
        "nullable.py",
        "..hidden",
        "a..b",
        "@scope/name",
        "a" * 512,
        "/".join("d" * 16),
    ],
)
def test_honest_names_are_accepted(name: str) -> None:
    check_name(name, LIMITS)


@pytest.mark.parametrize("twin", ["readme.MD", "README.MD", "ＲＥＡＤＭＥ.md", "ReadMe.md"])
def test_names_that_fold_to_one_are_refused(twin: str) -> None:
    with pytest.raises(Refusal, match=r"found README\.md") as caught:
        refuse_clashes(["README.md", twin])
    assert caught.value.code == "HOSTILE_DUPLICATE_NAME"


@pytest.mark.parametrize(
    ("files", "directories", "code"),
    [
        (["a", "a/b"], [], "HOSTILE_FILE_IS_DIRECTORY"),
        (["a/b", "a"], [], "HOSTILE_FILE_IS_DIRECTORY"),
        (["A", "a/b"], [], "HOSTILE_FILE_IS_DIRECTORY"),
        (["a"], ["a"], "HOSTILE_FILE_IS_DIRECTORY"),
        (["a/x", "A/y"], [], "HOSTILE_DUPLICATE_NAME"),
        (["a/x"], ["A"], "HOSTILE_DUPLICATE_NAME"),
        ([], ["a", "a"], "HOSTILE_DUPLICATE_NAME"),
    ],
)
def test_files_and_directories_may_not_clash(files: list[str], directories: list[str], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        refuse_clashes(files, directories)
    assert caught.value.code == code


def test_a_directory_may_be_mentioned_by_its_entry_and_by_its_members() -> None:
    refuse_clashes(["a/b/c", "a/b/d"], ["a", "a/b", "e"])


NAMES = st.lists(st.sampled_from(["a", "A", "b", "ﬁ", "fi"]), min_size=1, max_size=3).map("/".join)


@given(st.lists(NAMES, max_size=4), NAMES)
def test_there_is_room_for_a_name_exactly_when_it_clashes_with_none(files: list[str], name: str) -> None:
    with suppress(Refusal):
        refuse_clashes(files)
        try:
            refuse_clashes([*files, name])
            clashes = False
        except Refusal:
            clashes = True
        assert TakenNames(files).has_room_for(name) is not clashes


@given(st.text(max_size=40))
def test_an_accepted_name_is_nfc_relative_and_printable(name: str) -> None:
    with suppress(Refusal):
        check_name(name, LIMITS)
        assert unicodedata.is_normalized("NFC", name)
        assert name.encode().decode() == name
        assert "\\" not in name
        assert not {"", ".", ".."} & set(name.split("/"))
        assert not any(unicodedata.category(character) in {"Cc", "Cf"} for character in name)


@given(st.text(max_size=20))
def test_folding_is_idempotent_and_blind_to_case_and_form(name: str) -> None:
    key = folded(name)
    assert folded(key) == key
    assert folded(unicodedata.normalize("NFD", name)) == key
    assert folded(name.casefold()) == key
