"""The checks of a round recompute, and what does not hold stops the round: nothing downstream of it runs."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
from audit_world import World, checks_of, failure_of

from sigma_core.storage.protocol import CertificateRow, FactsRow, RoundRow
from sigma_core.timestamps import utc_now


def why(result: dg.ExecuteInProcessResult, name: str) -> str:
    """What a failed check tells the operator."""
    check = next(check for check in result.get_asset_check_evaluations() if check.check_name == name)
    assert not check.passed
    return str(check.metadata["why"].value)


def test_facts_about_another_package_stop_the_round_before_it_opens(world: World) -> None:
    other, submission_id = world.submit(), world.submit()
    assert world.audit(other, ["submission_package", "sandbox_facts"]).success
    [facts] = world.rows(FactsRow, submission_id=other)
    with world.deployment.sessions.begin() as session:
        session.add(FactsRow(**{**facts, "submission_id": submission_id, "derived_at": utc_now() + timedelta(days=1)}))

    result = world.audit(submission_id)
    assert not result.success
    assert "the facts are about another package tree" in why(result, "facts_complete")
    assert world.stages_of(submission_id, result.run_id) == ["submission_package", "sandbox_facts"]
    assert world.rows(RoundRow, submission_id=submission_id) == []


def test_a_round_that_no_longer_replays_gets_no_certificate(world: World) -> None:
    submission_id = world.submit()
    assert world.audit(submission_id).success
    [before] = world.rows(CertificateRow, submission_id=submission_id)
    with world.deployment.sessions.begin() as session:
        session.get_one(RoundRow, before["round_id"]).seed = "0" * 64

    result = world.audit(submission_id, ["round_outcome", "certificate"])
    assert not result.success
    said = why(result, "quorum")
    assert "the round does not replay" in said
    assert "0" * 64 in said
    assert world.stages_of(submission_id, result.run_id) == ["round_outcome"]


def test_a_certificate_that_is_not_the_one_on_record_fails_its_check(world: World) -> None:
    submission_id = world.submit()
    assert world.audit(submission_id).success
    [issued] = world.rows(CertificateRow, submission_id=submission_id)
    with world.deployment.sessions.begin() as session:
        session.get_one(CertificateRow, issued["id"]).payload_hash = "0x" + "0" * 64

    result = world.audit(submission_id, ["certificate"])
    assert not result.success
    assert checks_of(result) == {"certificate_verifies": False}
    assert "is not the one on record" in why(result, "certificate_verifies")


def test_a_bundle_that_was_overwritten_on_disk_fails_the_check_of_its_certificate(world: World) -> None:
    submission_id = world.submit()
    assert world.audit(submission_id).success
    [issued] = world.rows(CertificateRow, submission_id=submission_id)
    bundle = world.blob_file(issued["bundle_sha256"])
    bundle.write_bytes(bundle.read_bytes().replace(b"a", b"b", 1))
    assert "holds other bytes than its name says" in why(
        world.audit(submission_id, ["certificate"]), "certificate_verifies"
    )


def test_a_package_that_was_overwritten_on_disk_stops_the_round_at_once(world: World) -> None:
    submission_id = world.submit()
    blob = world.package_blob(submission_id)
    blob.write_bytes(b"{}")
    stage, words = failure_of(world.audit(submission_id))
    assert (stage, words) == ("submission_package", f"blob {blob.name} holds other bytes than its name says")
