"""TEMPORARY until sigma_core.standing stands."""

from __future__ import annotations

from sqlalchemy import select

from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.storage.protocol import ValidatorRow, WeightEpochRow
from sigma_core.timestamps import day_number, utc_now


def publish_weights(deployment: Deployment) -> WeightEpochRow:
    with deployment.read_sessions() as s:
        vs = s.scalars(select(ValidatorRow).order_by(ValidatorRow.id)).all()
    snap = WeightsSnapshot.of(
        1, deployment.policy.hash, [WeightRow(v.id, v.operator, v.family, v.stake_micro_usd // 20, 500000) for v in vs]
    )
    blob = deployment.blobs.put(canonical_json({"rows": [r.as_json() for r in snap.rows]}))
    row = WeightEpochRow(
        epoch=1,
        day=day_number(utc_now()),
        policy_hash=deployment.policy.hash,
        inputs_sha256="0" * 64,
        accuracy_high_water=0,
        reputation_high_water=0,
        merkle_root=snap.merkle_root,
        total_weight=snap.total_weight,
        validator_count=len(vs),
        snapshot_sha256=blob,
        published_at=utc_now(),
    )
    with deployment.sessions.begin() as s:
        s.add(row)
    return row


def unbooked_rounds(d):
    return []
