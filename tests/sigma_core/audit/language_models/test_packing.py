"""The package as marked text: nothing left out, nothing that acts as markup, bounded parts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import package

from sigma_core.audit.language_models.packing import escape, pack, uncovered, unescape, without_marks

LIMIT = 16_000
contents = st.one_of(
    st.binary(max_size=400),
    st.tuples(
        st.sampled_from([b"<", b"\n", b"a\n", b"\xe2\x80\x8b", b"word ", b"\xff", b"def f():\n    pass\n"]),
        st.integers(1, 30_000),
    ).map(lambda parts: parts[0] * (parts[1] // len(parts[0]))),
)
packages = st.dictionaries(st.from_regex(r"[a-z]{1,8}\.(md|py|sh)", fullmatch=True), contents, max_size=5).map(package)


@given(packages, st.integers(0, 60))
def test_every_line_of_every_file_is_in_some_part_and_no_part_is_too_large(held: object, overlap: int) -> None:
    chunks = pack(held, LIMIT, overlap)  # type: ignore[arg-type]
    assert uncovered(held, chunks) == ()  # type: ignore[arg-type]
    assert all(sum(len(piece.text) + 1 for piece in chunk.pieces) <= LIMIT for chunk in chunks)


@given(packages)
def test_the_text_of_a_line_is_the_line(held: object) -> None:
    """Read back, the parts give the files, byte for byte where those are UTF-8 with LF."""
    shown: dict[str, dict[int, list[str]]] = {}
    for chunk in pack(held, LIMIT, 0):  # type: ignore[arg-type]
        for piece in chunk.pieces:
            for line in piece.text.split("\n"):
                mark, _, text = line.partition("|")
                number = int(mark.strip().partition(".")[0])
                shown.setdefault(piece.path, {}).setdefault(number, []).append(unescape(text))
    for file in held.files:  # type: ignore[attr-defined]
        for number, line in enumerate(file.content.decode("utf-8", "replace").split("\n"), start=1):
            texts = shown[file.path][number]
            raw = line.removesuffix("\r")
            assert texts == [raw] if len(texts) == 1 else raw.startswith(texts[0]) and raw.endswith(texts[-1])


@given(st.text())
def test_escaped_text_holds_no_markup_and_nothing_that_does_not_show(text: str) -> None:
    shown = escape(text)
    assert not set(shown) & set('<>"\u200b\u202e\u2028\x00\r')
    assert unescape(shown) == text


@pytest.mark.parametrize(
    "sign", ["\u200b", "\u202e", "\u2066", "\ufeff", "\U000e0041", "\ufe0f", "\u3164", "\u2800", "\x1b", "\u00ad"]
)
def test_a_sign_that_does_not_show_is_shown_as_its_number(sign: str) -> None:
    assert escape(f"a{sign}b") == f"a&#x{ord(sign):X};b"


def test_a_line_longer_than_a_prompt_goes_into_parts_that_share_as_much_as_the_longest_quote() -> None:
    held = package({"min.js": b"".join(b"%07d" % number for number in range(12_000))})
    chunks = pack(held, LIMIT, 40)
    assert len(chunks) > 1
    assert uncovered(held, chunks) == ()
    parts = [line.partition("|")[2] for line in chunks[0].pieces[0].text.split("\n")]
    assert len(parts) > 3
    assert all(earlier[-400:] == later[:400] for earlier, later in pairwise(parts))


def test_a_long_file_is_cut_before_a_definition_and_both_parts_show_the_lines_before_it() -> None:
    body = b"".join(b"def f%03d():\n%s\n" % (number, b"    pass\n" * 30) for number in range(80))
    chunks = pack(package({"a.py": body}), LIMIT, 5)
    assert len(chunks) > 1
    for earlier, later in pairwise(chunks):
        assert later.spans[0].first == earlier.spans[-1].last - 4
        following = later.pieces[0].text.split("\n")[5]
        assert following.partition("|")[2].startswith("def f")


def test_small_files_share_a_prompt_and_a_package_without_files_is_one_prompt_too() -> None:
    assert len(pack(package({f"{n}.md": b"text\n" * 100 for n in range(5)}), LIMIT, 40)) == 1
    assert len(pack(package({}), LIMIT, 40)) == 1


def test_packing_again_gives_the_same_parts() -> None:
    held = package({"a.md": b"# x\n" * 20_000, "b.sh": b"echo\n"})
    assert pack(held, LIMIT, 40) == pack(held, LIMIT, 40)


def test_a_part_that_is_missing_is_noticed() -> None:
    held = package({"a.md": b"word\n" * 20_000, "b.js": b"x" * 60_000})
    chunks = pack(held, LIMIT, 0)
    for missing in range(len(chunks)):
        assert uncovered(held, [*chunks[:missing], *chunks[missing + 1 :]])


@pytest.mark.parametrize(
    ("copied", "plain"),
    [
        ("   12|curl x", "curl x"),
        ("a &lt; b", "a < b"),
        ("    1|first\n    2|second", "first\nsecond"),
        ("   7.3|part", "part"),
        ("&#x200B;x", "\u200bx"),
        ("&amp;lt;", "&lt;"),
        ("&#xD800;", "&#xD800;"),
        ("x = 5|6", "x = 5|6"),
    ],
)
def test_our_marks_come_off_a_quote(copied: str, plain: str) -> None:
    assert without_marks(copied) == plain
