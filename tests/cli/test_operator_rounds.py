"""``sigma operator re-audit``, ``appeal`` and ``replace-seat``: what an operator asks for, and what is refused with its rule."""

from __future__ import annotations

from collections.abc import Callable

from command_line import HONEST, Said

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
    closed = sigma("operator", "replace-seat", audited["roundId"], "1", *WHY, "--json")
    assert closed.exit_code == 1
    assert "has no open phase" in closed.stderr + closed.stdout
    for command in (("re-audit", "cert_none"), ("appeal", "rnd_none"), ("replace-seat", "rnd_none", "1")):
        refused = sigma("operator", *command, *WHY)
        assert refused.exit_code == 1
        assert "_none" in refused.stderr
        assert sigma("operator", *command).exit_code == 2  # without a reason
