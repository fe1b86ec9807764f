"""Trains the table that judges windows in the context of their package and writes ``context.json`` beside this file.

    python -m sigma_core.sandbox.wording.train_context PASSAGES PACKAGES HONEST SOURCES

The arguments are those of `train`, which has to have run before: classes of words and the bias are those of its
``model.json``.

Passages are set into published skills: as a paragraph or list item at a random place of the first document, or there as a section
of their own. Harmless passages, which mirror the harmful ones, are set in likewise, so that what is learnt is not
that something was set in. Of a dozen skills the one is taken that shares most words with the passage. Honest skills teach with
all their suspected windows. Harmful packages are judged only: most are small and nothing else than harm, so that no
passage stands out, and a table that learns from them suspects small honest skills (half of them, when it was tried).

What stands in part k of `train`'s split is judged by weights that learnt from the other parts: passages, skills that they are set into and
packages alike. A logistic regression over `FEATURES` learns from such margins only. Its own figures
are cross-validated over the same parts; the table that ships has learnt from all of them.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.linear_model import LogisticRegression

from sigma_core.policy import PPM
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.wording import Model, load_model
from sigma_core.sandbox.wording.context import FEATURES, WEIGHT_UNIT, Survey, Suspect
from sigma_core.sandbox.wording.train import (
    FOLDS,
    LICENCES,
    SEED,
    Examples,
    Passage,
    Skill,
    fold_of,
    honest_skills,
    rate,
    read,
    red_team,
    trained,
)
from sigma_core.sandbox.wording.windows import features_of, tokens_of, windows_in

CONTEXT_FILE = Path(__file__).with_name("context.json")
SET_IN = {True: 240, False: 180}
"""Harmful and harmless passages set into skills, in each part."""
MOST_SENTENCES_OF_A_HOST = 4_000
OFFERED_HOSTS = 12
TITLES = ("Notes", "Before you start", "Conventions", "Details", "Housekeeping", "Output", "Finishing up", "Workflow")
MARGIN_PER_LOG_ODD = 1_000
TARGET_PPM = 10_000
"""Share of honest published skills that may pass the threshold, judged by tables that did not see them."""
WEIGHTS = {"published": 1.0, "written": 1.0, "harmless set in": 1.0, "around": 0.2}
"""What one window of each kind of honest text weighs."""
POSITIVE_SHARE = 0.3
"""What all harmful windows weigh together, as a share of the others."""

Document = list[Sentence]
Row = tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """One package of a part: its suspects' features, which of them are harmful (1), harmless (0) or not to learn from (−1), and their weights."""

    kind: str
    fold: int
    rows: Sequence[Row]
    labels: Sequence[int]
    weights: Sequence[float]


@dataclass(frozen=True)
class Text:
    """A labelled passage with its sentences."""

    harmful: bool
    topic: str
    fold: int
    sentences: Document


def judged(kind: str, fold: int, found: Sequence[Suspect], *, place: int = 0, within: range = range(0)) -> Judged:
    """What a package teaches. ``within`` are the sentences of document number ``place`` where a passage was set in."""
    rows = [suspect.features for suspect in found]
    inside = [
        suspect.document == place and suspect.window.first in within and suspect.window.last in within
        for suspect in found
    ]
    if kind == "harmful set in":
        return Judged(kind, fold, rows, [1 if hit else -1 for hit in inside], [1.0] * len(rows))
    if kind == "harmful package":
        return Judged(kind, fold, rows, [-1] * len(rows), [1.0] * len(rows))
    around = WEIGHTS["around"] if kind == "harmless set in" else WEIGHTS[kind]
    return Judged(kind, fold, rows, [0] * len(rows), [WEIGHTS[kind] if hit else around for hit in inside])


def set_in(host: Document, passage: Document, chance: random.Random) -> tuple[Document, range]:
    """A document with a passage in it, and which of its sentences are the passage's."""
    at = chance.randrange(1, len(host) + 1)
    title = Sentence(0, 0, chance.choice(TITLES), False, apart=True)
    before = [*host[:at], *([title] if chance.random() < 0.4 else [])]
    return [*before, *passage, *host[at:]], range(len(before), len(before) + len(passage))


def words_of(document: Document) -> frozenset[str]:
    """Distinct tokens."""
    return frozenset(token for sentence in document for token in tokens_of(sentence.text))


def surveyed(model: Model, documents: Sequence[Document]) -> Survey:
    """A package read."""
    survey = Survey(model)
    for document in documents:
        survey.add(document)
    return survey


def part(
    fold: int,
    model: Model,
    texts: Sequence[Text],
    published: Sequence[Sequence[Document]],
    written: Sequence[tuple[bool, Sequence[Document]]],
) -> Iterator[Judged]:
    """Every package of one part, judged by a model of the others."""
    chance = random.Random(SEED + fold)  # noqa: S311 - reproducible, not secret
    for harmful, documents in written:
        found = surveyed(model, documents).suspects()
        yield judged("harmful package" if harmful else "written", fold, found)
    hosts = []
    for documents in published:
        rest = surveyed(model, documents[1:])
        whole = rest.copy()
        whole.add(documents[0])
        yield judged("published", fold, whole.suspects())
        if documents[0] and sum(map(len, documents)) <= MOST_SENTENCES_OF_A_HOST:
            hosts.append((words_of(documents[0]), documents[0], len(documents) - 1, rest))
    for harmful, number in SET_IN.items():
        candidates = [text for text in texts if text.harmful == harmful]
        for text in chance.sample(candidates, min(number, len(candidates))):
            words = words_of(text.sentences) | set(tokens_of(text.topic))
            _, host, place, rest = max(
                chance.sample(hosts, min(OFFERED_HOSTS, len(hosts))),
                key=lambda host: len(words & host[0]) / np.sqrt(20 + len(host[0])),
            )
            document, within = set_in(host, text.sentences, chance)
            package = rest.copy()
            package.add(document)
            kind = "harmful set in" if harmful else "harmless set in"
            yield judged(kind, fold, package.suspects(), place=place, within=within)


def fit(examples: Sequence[Judged]) -> tuple[list[int], int]:
    """The table's whole-number weights and bias, in `MARGIN_PER_LOG_ODD`."""
    chosen = [
        (row, label, weight)
        for example in examples
        for row, label, weight in zip(example.rows, example.labels, example.weights, strict=True)
        if label >= 0
    ]
    rows = np.array([row for row, _, _ in chosen], np.float64)
    labels = np.array([label for _, label, _ in chosen])
    importance = np.array([weight for _, _, weight in chosen])
    importance[labels == 1] *= POSITIVE_SHARE * importance[labels == 0].sum() / importance[labels == 1].sum()
    middle, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread == 0] = 1.0
    fitted = LogisticRegression(C=0.3, max_iter=2_000).fit((rows - middle) / spread, labels, sample_weight=importance)
    slopes = fitted.coef_[0] / spread
    weights = [round(float(slope) * MARGIN_PER_LOG_ODD * WEIGHT_UNIT) for slope in slopes]
    return weights, round((float(fitted.intercept_[0]) - float(slopes @ middle)) * MARGIN_PER_LOG_ODD)


def highest(weights: Sequence[int], bias: int, example: Judged) -> int:
    """The largest margin of any of a package's suspects."""
    return max((sum(map(int.__mul__, weights, row)) // WEIGHT_UNIT + bias for row in example.rows), default=-(1 << 20))


def out_of_fold(examples: Sequence[Judged]) -> list[tuple[Judged, int, int]]:
    """Every package with its margin in context by a table of the other parts, and its margin by wording alone."""
    found = []
    for fold in range(FOLDS):
        weights, bias = fit([example for example in examples if example.fold != fold])
        found += [
            (example, highest(weights, bias, example), max((row[0] for row in example.rows), default=-(1 << 20)))
            for example in examples
            if example.fold == fold
        ]
    return found


def least_passed(margins: Sequence[int], ppm: int) -> int:
    """The least margin that at most ``ppm`` of ``margins`` reach."""
    return sorted(margins)[-1 - len(margins) * ppm // PPM] + 1


def figures(found: Sequence[tuple[Judged, int, int]], threshold: int, bare: int) -> dict[str, Any]:
    """Rates by kind of package: in context, and by wording alone at a threshold that as many honest published skills pass."""
    margins: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for example, margin, alone in found:
        margins[example.kind].append((margin, alone))
    return {
        kind: {
            "inContext": rate(margin >= threshold for margin, _ in pairs),
            "byWordingAlone": rate(alone >= bare for _, alone in pairs),
        }
        for kind, pairs in sorted(margins.items())
    }


def main(passages_file: Path, packages_file: Path, folder: Path, sources: Path) -> dict[str, Any]:
    """Train, choose the threshold by cross-validation, write the table. Returns what was measured."""
    shipped = load_model()
    rows = list(pl.read_parquet(passages_file).iter_rows(named=True))
    texts = [
        Text(row["label"] == "malicious", row["topic"], fold_of(row["topic"] or row["text"]), read(row["text"]))
        for row in rows
    ]
    passages = [
        Passage(
            text.harmful,
            row["family"],
            text.fold,
            np.unique(
                features_of([tokens_of(sentence.text) for sentence in text.sentences], shipped.classes)[0]
            ).astype(np.int32),
            windows_in(text.sentences, shipped.classes),
        )
        for row, text in zip(rows, texts, strict=True)
    ]
    published, written = honest_skills(folder, sources), red_team(packages_file)
    skills = [
        Skill(fold_of(name), public, tuple(windows_in(text, shipped.classes) for text in documents))
        for public, group in ((True, published), (False, [(n, d) for n, harmful, d in written if not harmful]))
        for name, documents in group
    ]
    packages = [
        (fold_of(name), tuple(windows_in(text, shipped.classes) for text in documents))
        for name, harmful, documents in written
        if harmful
    ]
    examples: list[Judged] = []
    for fold in range(FOLDS):
        seen = Examples(
            [passage for passage in passages if passage.fold != fold],
            [package for at, package in packages if at != fold and any(text.places for text in package)],
        )
        weights: npt.NDArray[np.int64] = trained(seen, [skill for skill in skills if skill.fold != fold])
        examples += part(
            fold,
            Model(weights, shipped.classes, shipped.bias, ""),
            [text for text in texts if text.fold == fold and text.sentences],
            [documents for name, documents in published if fold_of(name) == fold and documents],
            [(harmful, documents) for name, harmful, documents in written if fold_of(name) == fold],
        )
        sys.stderr.write(f"part {fold + 1} of {FOLDS}\n")
    found = out_of_fold(examples)
    honest = [(margin, alone) for example, margin, alone in found if example.kind == "published"]
    threshold = least_passed([margin for margin, _ in honest], TARGET_PPM)
    report = figures(found, threshold, least_passed([alone for _, alone in honest], TARGET_PPM))
    weights_in_context, bias = fit(examples)
    document = {
        "schema": "sigma-wording-context-v1",
        "weights": dict(zip(FEATURES, weights_in_context, strict=True)),
        "bias": bias - threshold,
        "training": {
            "packages": {kind: sum(example.kind == kind for example in examples) for kind in sorted(report)},
            "licences": sorted(LICENCES),
            "split": f"the {FOLDS} parts of model.json; margins are of models that had not seen the part, rates of tables that had not",
            "caveat": "a passage is set in at random; who hides one words it to fit its host",
            "marginsAtShareOfPublishedSkills": {
                str(ppm): least_passed([margin for margin, _ in honest], ppm) - threshold
                for ppm in (5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 40_000)
            },
            "seed": SEED,
        },
        "crossValidated": report,
    }
    CONTEXT_FILE.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return document["training"] | report  # type: ignore[operator, no-any-return]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(Path, sys.argv[1:5])), indent=1) + "\n")
