"""``sigma operator re-audit``, ``appeal`` and ``replace-seat``: what an operator asks for, and what is refused with its rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import HONEST, Said

from sigma_core.lifecycle import panels
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.lifecycle.panels import Run, open_round, run_phase

WHY = ("--reason", "asked by the developer", "--actor", "operator:ada")


def test_a_round_is_asked_for_once_and_refusals_name_the_rule(sigma: Callable[..., Said]) -> None:
    audited = sigma("audit", HONEST, "--json").json
    said = sigma("operator", "re-audit", audited["certificateId"], *WHY, "--json")
    assert (said.exit_code, said.json["submissionId"], said.json["roundType"], said.json["triggerSource"]) == (
        0,
        audited["submissionId"],
        "RE_AUDIT",
        "OPERATOR",
    )
    assert sigma("operator", "re-audit", audited["submissionId"], *WHY, "--json").json == said.json
    appeal = sigma("operator", "appeal", audited["roundId"], *WHY, "--json")
    assert (appeal.exit_code, appeal.json["appealOf"]) == (0, audited["roundId"])
    assert "appeal of" in sigma("operator", "appeal", audited["roundId"], *WHY).stdout
    waiting = sigma("status", audited["submissionId"], "--json").json["requests"]
    assert [(each["appealOf"], each["roundId"], each["actor"]) for each in waiting] == [
        (None, None, "operator:ada"),
        (audited["roundId"], None, "operator:ada"),
    ]
    person = sigma("status", audited["submissionId"]).stdout
    assert f"appeal of {audited['roundId']} asked for, which the daemon of `sigma up` holds, by operator:ada" in person
    closed = sigma("operator", "replace-seat", audited["roundId"], "1", *WHY, "--json")
    assert closed.exit_code == 1
    assert "has no open phase" in closed.stderr + closed.stdout
    for command in (("re-audit", "cert_none"), ("appeal", "rnd_none"), ("replace-seat", "rnd_none", "1")):
        refused = sigma("operator", *command, *WHY)
        assert refused.exit_code == 1
        assert "_none" in refused.stderr
        assert sigma("operator", *command).exit_code == 2  # without a reason


def test_who_must_replace_a_seat_is_told_which_seats_have_not_voted(
    sigma: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = sigma("submit", HONEST, "--json").json["submissionId"]
    deployment = open_deployment()
    derive_and_keep(deployment, submission)
    round_id = open_round(deployment, submission, Run("run-1", "run-1"))
    with monkeypatch.context() as patch:
        patch.setattr(panels, "audit_seats", dies)
        with pytest.raises(KeyboardInterrupt):
            run_phase(deployment, round_id, 1)
    deployment.close()
    [told] = sigma("status", submission, "--json").json["rounds"]
    assert [seat["status"] for seat in told["openPhase"]["seats"]] == ["PENDING"] * 5
    assert (told["openPhase"]["phase"], told["openPhase"]["retryAt"]) == (1, None)
    person = sigma("status", submission).stdout
    assert "phase 1 goes on: until 20" in person
    assert f"operator replace-seat {round_id} SEAT" in person
    replaced = sigma("operator", "replace-seat", round_id, "2", *WHY, "--json")
    assert (replaced.exit_code, replaced.json["validatorId"]) == (0, told["openPhase"]["seats"][1]["validatorId"])
    [told] = sigma("status", submission, "--json").json["rounds"]
    assert [seat["status"] for seat in told["openPhase"]["seats"]][1] == "REMOVED"


def dies(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
