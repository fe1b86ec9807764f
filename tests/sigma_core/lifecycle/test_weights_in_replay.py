"""A round's replay goes back to its weights: they follow from the published epoch, whichever policy that was published under."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from issued import decided_round

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.replay import public_document, replay_kept_round, replay_public_document
from sigma_core.storage.protocol import RoundRow, WeightEpochRow
from sigma_core.submissions.package import Package

Submitted = Callable[..., str]


def drawn_from(deployment: Deployment, round_id: str) -> tuple[RoundRow, WeightEpochRow, bytes]:
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_id)
        epoch = session.get_one(WeightEpochRow, row.weights_epoch)
    return row, epoch, public_document(deployment, row)


def test_the_epoch_on_record_is_computed_again_and_one_that_was_changed_there_is_named(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    round_id = decided_round(deployment, submitted(honest))
    _, epoch, _ = drawn_from(deployment, round_id)
    replayed = replay_kept_round(deployment, round_id)
    assert replayed.differences == ()
    assert any(line.startswith("$.weights: the accuracies and reputations") for line in replayed.unchecked)
    document = json.loads(deployment.blobs.get(epoch.snapshot_sha256))
    document["rows"][7]["accuracyPpm"] += 100_000
    with deployment.sessions.begin() as session:
        changed = deployment.blobs.put(json.dumps(document).encode())
        session.get_one(WeightEpochRow, epoch.epoch).snapshot_sha256 = changed
    [line] = replay_kept_round(deployment, round_id).differences
    assert line.startswith("$.weights: ")
    assert document["rows"][7]["validatorId"] in line


def test_the_policy_of_an_earlier_epoch_is_taken_from_the_record_and_missed_in_a_document_alone(
    deployment: Deployment,
    make_deployment: Callable[..., Deployment],
    honest: Package,
    submitted: Submitted,
    tmp_path: Path,
) -> None:
    submission = submitted(honest)
    other = tmp_path / "policy.toml"
    other.write_text(deployment.settings.policy_file.read_text().replace("validity_days = 365", "validity_days = 30"))
    changed = make_deployment(policy_file=str(other))
    row, epoch, content = drawn_from(changed, decided_round(changed, submission))
    assert (epoch.policy_hash, row.policy_hash) == (deployment.policy.hash, changed.policy.hash)
    assert replay_kept_round(changed, row.id).differences == ()
    snapshot = deployment.blobs.get(epoch.snapshot_sha256)
    alone = replay_public_document(content, epoch=snapshot)
    assert alone.differences == ()
    assert "$.weights.rows: the policy that their epoch was published under is not in the document" in alone.unchecked
    assert replay_public_document(content, epoch=snapshot, epoch_policy=deployment.policy).differences == ()


@pytest.mark.parametrize("epoch", [b"", b"{}", b"[" * 100_000])
def test_what_is_no_epoch_is_said_to_be_none(
    deployment: Deployment, honest: Package, submitted: Submitted, epoch: bytes
) -> None:
    _, _, content = drawn_from(deployment, decided_round(deployment, submitted(honest)))
    [line] = replay_public_document(content, epoch=epoch).differences
    assert line.startswith("$.weights: ")
