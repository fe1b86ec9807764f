"""Imitations of well-known names are told from honest names that happen to be near."""

from __future__ import annotations

import hashlib
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.sandbox.popular_names import (
    NAMES_FOLDER,
    Registry,
    Slip,
    distance,
    imitation_of,
    normalised,
    one_edit_away,
)
from sigma_core.sandbox.rules import RULES_FOLDER

LISTS = {registry: (NAMES_FOLDER / f"{registry.value}.txt").read_text().partition("\n\n") for registry in Registry}
POPULAR = {
    registry: [line for line in popular.split("\n") if not line.startswith("#")]
    for registry, (popular, _, _) in LISTS.items()
}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


@pytest.mark.parametrize(
    ("registry", "name", "popular", "slip"),
    [
        (Registry.PYPI, "reqeusts", "requests", Slip.ONE_EDIT),
        (Registry.PYPI, "Reqests", "requests", Slip.ONE_EDIT),
        (Registry.PYPI, "crpytograhpy", "cryptography", Slip.TWO_EDITS),
        (Registry.PYPI, "dateutil-python", "python-dateutil", Slip.ORDER),
        (Registry.PYPI, "requests-official", "requests", Slip.LURE),
        (Registry.NPM, "lodahs", "lodash", Slip.ONE_EDIT),
        (Registry.NPM, "rnoment", "moment", Slip.LOOK_ALIKE),
        (Registry.NPM, "typesnode", "@types/node", Slip.SEPARATORS),
    ],
)
def test_imitation_names_what_it_imitates(registry: Registry, name: str, popular: str, slip: Slip) -> None:
    found = imitation_of(registry, name)
    assert found is not None
    assert (found.popular, found.slip) == (popular, slip)


@pytest.mark.parametrize("registry", [Registry.PYPI, Registry.NPM])
def test_no_listed_name_is_an_imitation(registry: Registry) -> None:
    real = [line for line in LISTS[registry][2].split("\n") if line and not line.startswith("#")]
    assert len(POPULAR[registry]) == 3_000
    assert all(imitation_of(registry, name) is None for name in [*POPULAR[registry], *real])


@pytest.mark.parametrize("name", ["", "a", "flas", "x" * 500, "ünïcode", "my-own-thing-of-mine", "requests-oauthlib"])
def test_short_long_foreign_and_unrelated_names_are_no_imitations(name: str) -> None:
    assert imitation_of(Registry.PYPI, name) is None


def test_pypi_names_are_compared_as_the_index_compares_them() -> None:
    assert normalised(Registry.PYPI, "Typing__Extensions") == "typing-extensions"
    assert imitation_of(Registry.PYPI, "typing_Extensions") is None


def test_hashes_of_the_lists_stand_in_the_rule_pack() -> None:
    pack = tomllib.loads((RULES_FOLDER / "supply_chain.toml").read_text())["pack"]
    for registry in Registry:
        data = (NAMES_FOLDER / f"{registry.value}.txt").read_bytes()
        assert pack["lists"][registry.value] == hashlib.sha256(data).hexdigest()


@settings(max_examples=60, deadline=None)
@given(st.text(LETTERS, min_size=1, max_size=8), st.text(LETTERS, min_size=1, max_size=8))
def test_distance_is_symmetric_and_one_exactly_for_neighbours(one: str, other: str) -> None:
    apart = distance(one, other, 20)
    assert apart == distance(other, one, 20)
    assert (apart == 0) == (one == other)
    assert (other in set(one_edit_away(one)) and one != other) == (apart == 1)
    assert distance(one, other, 1) == min(apart, 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_slip_of_one_letter_in_a_long_popular_name_is_seen(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in POPULAR[Registry.PYPI] if len(name) >= 8]))
    slipped = data.draw(st.sampled_from(sorted(set(one_edit_away(name)))))
    found = imitation_of(Registry.PYPI, slipped)
    listed = f"\n{normalised(Registry.PYPI, slipped)}\n" in "".join(LISTS[Registry.PYPI]) + "\n"
    assert listed or slipped.startswith("-") or slipped.endswith("-") or "--" in slipped or found is not None
