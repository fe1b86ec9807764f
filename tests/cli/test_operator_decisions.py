"""``sigma operator``: what is decided about rounds and validators, with actor and reason, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from command_line import HONEST, HOSTILE, Audited, Said, audit
from split_votes import dissent

from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.lifecycle.standing import newest_snapshot

WORDS = ("--reason", "looked into", "--actor", "operator:ada", "--json")


@pytest.fixture(scope="module")
def split(audited_home: Any) -> Audited:
    """A skill that one of ten votes was against."""
    with dissent():
        return audit(HONEST, audited_home)


@pytest.fixture(scope="module")
def hostile(audited_home: Any) -> Audited:
    return audit(HOSTILE, audited_home)


@pytest.fixture(scope="module")
def validator(audited_home: Any) -> str:
    return newest_snapshot(open_deployment()).rows[0].validator_id


def test_a_resolution_is_said_scored_and_replayed(split: Audited, sigma: Callable[..., Said]) -> None:
    round_id = split.report["roundId"]
    assert split.report["outcome"] == "ESCALATED"
    said = sigma("operator", "resolve", round_id, "--truth", "UNSAFE", *WORDS)
    assert (said.exit_code, said.json["roundId"], said.json["truth"]) == (0, round_id, "UNSAFE")
    assert (said.json["number"], said.json["truthSource"], said.json["actor"]) == (0, "OPERATOR", "operator:ada")
    assert book_known_truths(open_deployment()).late_resolutions == 1
    replayed = sigma("replay", round_id, "--json")
    assert (replayed.exit_code, replayed.json["differences"]) == (0, [])
    [told] = sigma("status", split.report["submissionId"], "--json").json["rounds"]
    assert (told["outcome"], told["truths"][0]["truth"], told["overrides"]) == ("ESCALATED", "UNSAFE", [])
    corrected = sigma("operator", "resolve", round_id, "--truth", "SAFE", "--reason", "looked again")
    assert corrected.exit_code == 0
    assert "corrected to SAFE" in corrected.stdout


def test_a_split_vote_is_overridden_to_approve_without_a_certificate_and_a_rejection_is_not(
    split: Audited, hostile: Audited, sigma: Callable[..., Said]
) -> None:
    said = sigma("operator", "override", split.report["roundId"], "--outcome", "APPROVED", *WORDS)
    assert (said.exit_code, said.json["outcome"], said.json["reason"]) == (0, "APPROVED", "looked into")
    assert sigma("replay", split.report["roundId"], "--json").json["differences"] == []
    assert sigma("certificate", split.report["roundId"], "--json").exit_code != 0
    refused = sigma("operator", "override", hostile.report["roundId"], "--outcome", "APPROVED", *WORDS)
    assert (refused.exit_code, refused.error["code"]) == (1, "OVERRIDE_REFUSED")


def test_an_override_to_rejected_revokes_the_certificate(honest: Audited, sigma: Callable[..., Said]) -> None:
    round_id = honest.report["roundId"]
    refused = sigma("operator", "resolve", round_id, "--truth", "UNSAFE", *WORDS)
    assert (refused.exit_code, refused.error["code"]) == (1, "RESOLUTION_REFUSED")
    said = sigma("operator", "override", round_id, "--outcome", "REJECTED", *WORDS)
    assert (said.exit_code, said.json["outcome"], said.json["number"]) == (0, "REJECTED", 1)
    assert sigma("verify", honest.out, "--json").error["code"] == "REVOKED"
    [told] = sigma("status", honest.report["submissionId"], "--json").json["rounds"]
    assert (told["outcome"], told["overrides"][0]["outcome"]) == ("APPROVED", "REJECTED")
    assert "overridden to REJECTED" in sigma("status", honest.report["submissionId"]).stdout
    assert sigma("operator", "resolve", round_id, "--truth", "UNSAFE", *WORDS).exit_code == 0


def test_validators_are_sanctioned_and_suspended_until_that_ends(validator: str, sigma: Callable[..., Said]) -> None:
    said = sigma("operator", "sanction", validator, "--cap-ppm", "200000", *WORDS)
    assert (said.exit_code, said.json["after"]) == (0, {"ceilingPpm": 200_000})
    early = sigma("operator", "lift-sanctions", validator, *WORDS)
    assert (early.exit_code, early.error["code"], early.error["hint"]) == (
        1,
        "SANCTION_REFUSED",
        "lift them tomorrow, UTC",
    )
    said = sigma("operator", "suspend-validator", validator, *WORDS)
    assert (said.exit_code, said.json["after"]) == (0, {"status": "SUSPENDED"})
    said = sigma("operator", "reinstate-validator", validator, "--reason", "new key")
    assert said.exit_code == 0
    assert "status SUSPENDED → ACTIVE" in said.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("resolve", "rnd_x", "--truth", "SAFE"),
        ("resolve", "rnd_x", "--truth", "ABSTAIN", "--reason", "x"),
        ("resolve", "rnd_x", "--reason", "x"),
        ("override", "rnd_x", "--outcome", "APPROVED"),
        ("override", "rnd_x", "--outcome", "ESCALATED", "--reason", "x"),
        ("sanction", "val_x", "--cap-ppm", "1000000", "--reason", "x"),
        ("sanction", "val_x", "--reason", "x"),
        ("suspend-validator", "val_x"),
        ("resolve", "rnd_x", "--truth", "SAFE", "--reason", "x"),
        ("override", "rnd_x", "--outcome", "REJECTED", "--reason", "x"),
        ("lift-sanctions", "val_x", "--reason", "x"),
    ],
)
def test_wrong_use_is_refused(audited_home: Any, sigma: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    assert sigma("operator", *arguments).exit_code == 2
