"""Trains the model of wording and writes ``model.json`` beside this file.

    pip install -r requirements/train.txt
    python -m sigma_core.sandbox.wording.train PASSAGES PACKAGES HONEST SOURCES

``PASSAGES`` is a Parquet file of labelled passages (columns label, family, topic, text;
``tests/bench/red-team-passages.parquet``) and ``PACKAGES`` one of labelled packages (``tests/bench/red-team.parquet``;
sets whose name ends with ``apart`` are left out), all of them written for this project. ``HONEST`` holds published skills as
``owner+repository/skill/…`` and ``SOURCES`` says where they are from (``tests/bench/public_skills.py`` fetches what
``tests/bench/public-skills.tsv`` names); only those under the MIT or the Apache licence are trained on. Only weights and
the classes of words are written, never text.

Steps: words are put into classes by the company that they keep in all of these texts (word2vec, k-means); a logistic
regression learns whole harmful passages against harmless passages and a sample of the windows of honest skills; then,
because a skill is judged by the worst of hundreds of windows, all windows of the training skills that come near the
threshold are added as counter-examples, and of each harmful package the window that the model suspects most as one more
example, and it learns again.

Threshold and figures are cross-validated: passages (by topic, since harmful and harmless passages on one topic mirror
each other) and honest skills fall into `FOLDS` parts by SHA-256, and each part is judged by a model that learnt from the
others. The model that ships has learnt from all of them.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gensim
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression

from sigma_core.canonical import sha256_hex
from sigma_core.policy import PPM
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.wording.windows import (
    DIMENSIONS,
    DOCUMENT_SUFFIXES,
    MORE_FEATURES,
    Windows,
    features_of,
    sentences_in,
    tokens_of,
    windows_in,
)

MODEL_FILE = Path(__file__).with_name("model.json")
SEED = 1
CLUSTERINGS = (400, 1_200, 2_400)
LEAST_OCCURRENCES = 6
SAMPLED_WINDOWS_PPM = 120_000
INVERSE_REGULARISATION = 2.0
POSITIVE_SHARE = 0.2
"""What all harmful passages weigh together, as a share of what the harmless windows weigh."""

NEAR_MARGIN = -1.0
"""Log-odds from which on a window of an honest skill becomes a counter-example."""

COUNTER_EXAMPLE_WEIGHT = 2.0
MINING_ROUNDS = 2
MOST_SENTENCES = 1_500
LICENCES = frozenset({"MIT", "Apache-2.0"})
LARGEST_WEIGHT = 127
FOLDS = 5
LEAST_LISTED = 40
TARGET_PPM = 28_000
"""Share of honest published skills that may pass the threshold, judged by a model that did not see them."""


@dataclass(frozen=True)
class Passage:
    """One labelled passage."""

    harmful: bool
    family: str
    fold: int
    whole: npt.NDArray[np.int32]
    windows: Windows


@dataclass(frozen=True)
class Skill:
    """One honest skill, ``published`` or written for this project to come near harmful ones."""

    fold: int
    published: bool
    documents: tuple[Windows, ...]


@dataclass(frozen=True)
class Examples:
    """What is learnt from beside honest skills: passages, and harmful packages of which nobody has said where the harm stands."""

    passages: Sequence[Passage]
    packages: Sequence[tuple[Windows, ...]]


def read(text: str) -> list[Sentence]:
    """The sentences of a text, up to `MOST_SENTENCES`."""
    return sentences_in(text)[:MOST_SENTENCES]


def fold_of(name: str) -> int:
    """The part that a passage's topic, or a skill, falls into."""
    return int(sha256_hex(name.encode())[:8], 16) % FOLDS


def honest_skills(folder: Path, sources: Path) -> list[tuple[str, list[list[Sentence]]]]:
    """``(name, documents)`` of the skills whose licence lets us learn from them, sorted by name."""
    free = sorted(
        f"{row['repository'].replace('/', '+')}/{row['folder']}"
        for row in pl.read_csv(sources, separator="\t").iter_rows(named=True)
        if row["licence"] in LICENCES
    )
    return [(name, documents_in(folder / name)) for name in free]


def documents_in(skill: Path) -> list[list[Sentence]]:
    """Every document of a skill."""
    return [
        read(file.read_bytes().decode("utf-8", "replace"))
        for file in sorted(skill.rglob("*"))
        if file.is_file() and file.suffix.lower() in DOCUMENT_SUFFIXES
    ]


def red_team(file: Path) -> list[tuple[str, bool, list[list[Sentence]]]]:
    """``(name, harmful, documents)`` of the packages written for this project, sorted by name."""
    rows = pl.read_parquet(file).filter(~pl.col("source").str.ends_with("apart")).sort("sample", "path")
    return [
        (
            str(sample),
            files["label"][0] == "malicious",
            [
                read(content.decode("utf-8", "replace"))
                for path, content in zip(files["path"], files["content"], strict=True)
                if path.lower().endswith(DOCUMENT_SUFFIXES)
            ],
        )
        for (sample,), files in rows.group_by("sample", maintain_order=True)
    ]


def word_classes(texts: Iterable[list[Sentence]]) -> dict[str, tuple[int, ...]]:
    """Words by the company that they keep: k-means over word2vec, once for each number of classes."""
    lines = [run for text in texts for run in _runs(text)]
    vectors = gensim.models.Word2Vec(
        lines, vector_size=100, window=6, min_count=LEAST_OCCURRENCES, workers=1, seed=SEED, epochs=5, sg=1,
        hashfxn=lambda word: zlib.crc32(word.encode()),
    ).wv  # fmt: skip
    words = sorted(word for word in vectors.index_to_key if not word.startswith("<"))
    counts = Counter(token for line in lines for token in line)
    places = np.array([vectors[word] for word in words])
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    places -= places.mean(axis=0)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    weights = np.log1p([counts[word] for word in words])
    clusterings = [
        MiniBatchKMeans(size, random_state=SEED, batch_size=4_096, n_init=2, max_iter=150)
        .fit(places, sample_weight=weights)
        .labels_.tolist()
        for size in CLUSTERINGS
    ]
    return dict(zip(words, zip(*clusterings, strict=True), strict=True))


def _runs(text: Sequence[Sentence], size: int = 40) -> Iterator[list[str]]:
    """The tokens of neighbouring sentences, at least ``size`` together."""
    run: list[str] = []
    for sentence in text:
        run += tokens_of(sentence.text)
        if len(run) > size:
            yield run
            run = []
    if run:
        yield run


def matrix(rows: Sequence[npt.NDArray[np.int32]]) -> sparse.csr_matrix:
    """One row a window, as `Windows.margins` has it."""
    lengths = np.array([len(row) for row in rows], np.int64)
    values = np.repeat(1 / np.sqrt(lengths + MORE_FEATURES), lengths).astype(np.float32)
    places = np.concatenate(([0], np.cumsum(lengths)))
    made = sparse.csr_matrix(
        (values, np.concatenate([*rows, np.array([], np.int32)]), places), shape=(len(rows), DIMENSIONS)
    )
    made.sum_duplicates()
    return made


def rows_of(windows: Windows) -> list[npt.NDArray[np.int32]]:
    """The features of each window."""
    return np.split(windows.indices, windows.starts[1:-1]) if windows.places else []


def nearest(windows: Windows, weights: npt.NDArray[Any], bias: float) -> list[npt.NDArray[np.int32]]:
    """The windows whose log-odds come near the threshold."""
    near = odds(windows, weights) + bias > NEAR_MARGIN
    return [row for row, chosen in zip(rows_of(windows), near, strict=True) if chosen]


def odds(windows: Windows, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Each window's log-odds but for the bias."""
    sums = np.concatenate(([0.0], np.cumsum(weights[windows.indices])))
    found: npt.NDArray[Any] = np.diff(sums[windows.starts]) / np.sqrt(np.diff(windows.starts) + MORE_FEATURES)
    return found


def most_suspected(package: Sequence[Windows], weights: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The features of the window with the highest odds in any document."""
    return max(
        (
            (float(odd), row)
            for document in package
            for odd, row in zip(odds(document, weights), rows_of(document), strict=True)
        ),
        key=lambda found: found[0],
    )[1]


def fit(examples: Examples, skills: Sequence[Skill]) -> tuple[npt.NDArray[Any], float]:
    """Weights and bias of the logistic regression after mining its counter-examples."""
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    documents = [document for skill in skills for document in skill.documents]
    harmful = [passage.whole for passage in examples.passages if passage.harmful]
    harmless = [passage.whole for passage in examples.passages if not passage.harmful]
    pieces = [row for passage in examples.passages if not passage.harmful for row in rows_of(passage.windows)]
    sampled = [
        row for document in documents for row in rows_of(document) if chance.randrange(PPM) < SAMPLED_WINDOWS_PPM
    ]
    negatives = len(harmless) + len(pieces) + len(sampled)
    harmful_weight = POSITIVE_SHARE * negatives / len(harmful)
    rows = matrix([*harmful, *harmless, *pieces, *sampled])
    labels = np.array([1] * len(harmful) + [0] * negatives)
    importance = np.repeat(
        [harmful_weight, 1.0, 0.5, 1.0],
        [len(harmful), len(harmless), len(pieces), len(sampled)],
    )
    weights, bias = _regression(rows, labels, importance)
    for _ in range(MINING_ROUNDS):
        near = [row for document in documents for row in nearest(document, weights, bias)]
        rows = sparse.vstack([rows, matrix(near)]).tocsr() if near else rows
        labels = np.concatenate((labels, np.zeros(len(near), int)))
        importance = np.concatenate((importance, np.full(len(near), COUNTER_EXAMPLE_WEIGHT)))
        suspected = [most_suspected(package, weights) for package in examples.packages]
        weights, bias = _regression(
            sparse.vstack([rows, matrix(suspected)]).tocsr(),
            np.concatenate((labels, np.ones(len(suspected), int))),
            np.concatenate((importance, np.full(len(suspected), harmful_weight))),
        )
    return weights, bias


def _regression(
    rows: sparse.csr_matrix, labels: npt.NDArray[Any], importance: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], float]:
    fitted = LogisticRegression(C=INVERSE_REGULARISATION, solver="liblinear", max_iter=200, random_state=SEED)
    fitted.fit(rows, labels, sample_weight=importance)
    return fitted.coef_[0], float(fitted.intercept_[0])


def quantised(weights: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Weights as integers from −127 to 127; the twenty largest share the ends."""
    largest = np.sort(np.abs(weights))[-20]
    whole: npt.NDArray[np.int8] = np.clip(
        np.round(weights / largest * LARGEST_WEIGHT), -LARGEST_WEIGHT, LARGEST_WEIGHT
    ).astype(np.int8)
    return whole


def highest(weights: npt.NDArray[np.int64], texts: Iterable[Windows]) -> int:
    """The largest margin of any window, as `Windows.margins` has it."""
    return max(
        (int(margin) for text in texts for margin in text.margins(weights)),
        default=-(1 << 20),
    )


def trained(examples: Examples, skills: Sequence[Skill]) -> npt.NDArray[np.int64]:
    """The quantised weights."""
    return quantised(fit(examples, skills)[0]).astype(np.int64)


def wilson_ppm(hits: int, total: int) -> list[int]:
    """The 95 % Wilson interval of ``hits`` in ``total``, in ppm."""
    if total == 0:
        return [0, PPM]
    z = 1.959964
    share, spread = hits / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return [round(max(0.0, middle - half) * PPM), round(min(1.0, middle + half) * PPM)]


def rate(flags: Iterable[bool]) -> dict[str, Any]:
    """How many of how many, with the interval that so few allow."""
    seen = list(flags)
    hits, total = sum(seen), len(seen)
    return {"flagged": hits, "of": total, "ppm": hits * PPM // max(total, 1), "wilson95Ppm": wilson_ppm(hits, total)}


def cross_validated(examples: Examples, skills: Sequence[Skill]) -> tuple[int, dict[str, Any]]:
    """The margin that `TARGET_PPM` of the honest published skills pass, and what is found at it, all by models that had not
    seen what they judge."""
    honest: list[tuple[Skill, int]] = []
    passages: list[tuple[Passage, int]] = []
    for fold in range(FOLDS):
        seen = Examples([passage for passage in examples.passages if passage.fold != fold], examples.packages)
        weights = trained(seen, [skill for skill in skills if skill.fold != fold])
        honest += [(skill, highest(weights, skill.documents)) for skill in skills if skill.fold == fold]
        passages += [
            (passage, highest(weights, [passage.windows])) for passage in examples.passages if passage.fold == fold
        ]
    published = sorted(margin for skill, margin in honest if skill.published)
    threshold = published[-1 - len(published) * TARGET_PPM // PPM] + 1
    return threshold, found(threshold, honest, passages)


def found(
    threshold: int, honest: Sequence[tuple[Skill, int]], passages: Sequence[tuple[Passage, int]]
) -> dict[str, Any]:
    """Rates at a threshold: of honest skills, of harmful passages and those that mirror them, of each family of harm."""
    families = defaultdict(list)
    for passage, margin in passages:
        if passage.harmful:
            families[passage.family].append(margin >= threshold)
    return {
        "falsePositives/publishedSkills": rate(margin >= threshold for skill, margin in honest if skill.published),
        "falsePositives/skillsThatMirrorHarmfulOnes": rate(
            margin >= threshold for skill, margin in honest if not skill.published
        ),
        "falsePositives/passagesThatMirrorHarmfulOnes": rate(
            margin >= threshold for passage, margin in passages if not passage.harmful
        ),
        "recall/passages": rate(margin >= threshold for passage, margin in passages if passage.harmful),
        **{f"recall/{name}": rate(flags) for name, flags in sorted(families.items()) if len(flags) >= LEAST_LISTED},
    }


def _packed(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def main(passages_file: Path, packages_file: Path, folder: Path, sources: Path) -> dict[str, Any]:
    """Train, choose the threshold by cross-validation, write the model. Returns what was measured."""
    labelled = [(row, read(row["text"])) for row in pl.read_parquet(passages_file).iter_rows(named=True)]
    written = red_team(packages_file)
    published = honest_skills(folder, sources)
    honest = [(name, documents) for name, harmful, documents in written if not harmful]
    classes = word_classes(
        [
            *(text for _, text in labelled),
            *(text for _, documents in published + honest for text in documents),
            *(text for _, harmful, documents in written if harmful for text in documents),
        ]
    )
    passages = [
        Passage(
            row["label"] == "malicious",
            row["family"],
            fold_of(row["topic"] or row["text"]),
            np.unique(features_of([tokens_of(sentence.text) for sentence in text], classes)[0]).astype(np.int32),
            windows_in(text, classes),
        )
        for row, text in labelled
    ]
    skills = [
        Skill(fold_of(name), number < len(published), tuple(windows_in(text, classes) for text in documents))
        for number, (name, documents) in enumerate(published + honest)
    ]
    packages = [tuple(windows_in(text, classes) for text in documents) for _, harmful, documents in written if harmful]
    examples = Examples(passages, [package for package in packages if any(text.places for text in package)])
    threshold, report = cross_validated(examples, skills)
    weights = trained(examples, skills)
    words = sorted(classes)
    document = {
        "schema": "sigma-wording-v1",
        "dimensions": DIMENSIONS,
        "bias": -threshold,
        "weights": _packed(weights.astype(np.int8)),
        "classes": {
            "words": base64.b64encode(zlib.compress("\n".join(words).encode(), 9)).decode(),
            "of": [
                _packed(np.array([classes[word][clustering] for word in words], np.int16))
                for clustering in range(len(CLUSTERINGS))
            ],
        },
        "training": {
            "passages": {
                "harmful": sum(passage.harmful for passage in passages),
                "harmless": sum(not passage.harmful for passage in passages),
            },
            "harmfulPackages": len(examples.packages),
            "honestSkills": {"published": len(published), "written": len(honest)},
            "split": f"{FOLDS} parts by SHA-256 of a passage's topic or a skill's name, each judged by a model of the others",
            "caveat": "classes of words, which know no label, are of all texts; the model that ships has learnt from all parts",
            "seed": SEED,
        },
        "crossValidated": report,
    }
    MODEL_FILE.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(Path, sys.argv[1:5])), indent=1) + "\n")
