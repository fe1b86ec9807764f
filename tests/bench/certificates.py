"""Certificates per CPU second on one core: issue and offline verify, beside raw Ed25519 in the same run.

./sigma bench certificates
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from sigma_core.canonical import canonical_json
from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.verify import verify_bundle
from tests.sigma_core.certificates.certificate_samples import (
    KEY,
    NOW,
    key_set,
    sample_facts,
    sample_package,
    sample_payload,
)

ROUNDS = 9
CALLS = 400


def main() -> None:
    """Measure all steps in turn, round by round, so that a busy machine slows them alike; print medians."""
    payload, keys = sample_payload(), key_set()
    bundle = issue(payload, KEY)
    data, message = bundle.to_bytes(), bundle.envelope.signed_bytes
    key = keys.by_id[KEY.key_id]
    document, package, facts = dict(payload.document), sample_package(), sample_facts()
    steps: dict[str, Callable[[], object]] = {
        "raw Ed25519 sign": lambda: KEY.sign(message),
        "raw Ed25519 verify": lambda: key.signed(bundle.envelope.signature, message),
        "payload: build and check": lambda: sample_payload(package=package, facts=facts),
        "issue: checked payload to file": lambda: issue(Payload(document, payload.canonical_bytes), KEY).to_bytes(),
        "issue: package and facts to file": lambda: issue(sample_payload(package=package, facts=facts), KEY).to_bytes(),
        "verify": lambda: verify_bundle(data, keys, at=NOW),
        "verify against a package": lambda: verify_bundle(data, keys, at=NOW, package=package),
        "refuse a file that was cut off": lambda: _refused(data[:-1]),
        "canonical form of a payload": lambda: canonical_json(document),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            seconds[name].append(_cpu_seconds(step))
    medians = {name: statistics.median(rounds) for name, rounds in seconds.items()}
    print(
        f"payload {len(payload.canonical_bytes):,} bytes, bundle {len(data):,} bytes; "
        f"median of {ROUNDS} rounds of {CALLS} calls, CPU time, one core"
    )
    for name, median in medians.items():
        against = "verify" if "verify" in name else "sign"
        ratio = median / medians[f"raw Ed25519 {against}"]
        print(f"{name:34} {1 / median:>10,.0f} /s   {median * 1e6:7.1f} µs   {ratio:5.2f} × raw {against}")


def _cpu_seconds(step: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        step()
    return (time.process_time() - started) / CALLS


def _refused(data: bytes) -> None:
    try:
        Bundle.parse(data)
    except VerificationError:
        return
    raise AssertionError("a bundle that was cut off was read")


if __name__ == "__main__":
    main()
