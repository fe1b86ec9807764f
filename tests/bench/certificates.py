"""Certificates per CPU second on one core: issue and offline verify, beside raw Ed25519 in the same run; memory of each.

./sigma bench certificates
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta

from sigma_core.canonical import canonical_json
from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.log.entry import certificate_entry
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.status_list import PURPOSES, StatusList, bits_of, list_uri
from sigma_core.certificates.verify import open_bundle, verify_bundle
from tests.sigma_core.certificates.certificate_samples import (
    KEY,
    NOW,
    ORIGIN,
    in_log,
    key_set,
    sample_bundle,
    sample_facts,
    sample_package,
    sample_payload,
)

ROUNDS = 9
CALLS = 400
MEMORY_COPIES = 500


def main() -> None:
    """Measure all steps in turn, round by round, so that a busy machine slows them alike; print medians."""
    payload, keys = sample_payload(transparency_log=ORIGIN), key_set()
    proof = in_log(certificate_entry(payload, KEY.key_id), index=700, size=1_000)
    bundle = issue(payload, KEY).with_proof(proof)
    unlogged, lists = sample_bundle().to_bytes(), _status_lists()
    data, message = bundle.to_bytes(), bundle.envelope.signed_bytes
    key = keys.by_id[KEY.key_id]
    document, package, facts = dict(payload.document), sample_package(), sample_facts()
    steps: dict[str, Callable[[], object]] = {
        "raw Ed25519 sign": lambda: KEY.sign(message),
        "raw Ed25519 verify": lambda: key.signed(bundle.envelope.signature, message),
        "payload: build and check": lambda: sample_payload(package=package, facts=facts),
        "issue: checked payload to file": lambda: _issued(Payload(document, payload.canonical_bytes), proof),
        "issue: package and facts to file": lambda: _issued(
            sample_payload(package=package, facts=facts, transparency_log=ORIGIN), proof
        ),
        "log entry of a payload": lambda: certificate_entry(Payload(document, payload.canonical_bytes), KEY.key_id),
        "verify, no proof": lambda: verify_bundle(unlogged, keys, at=NOW),
        "verify": lambda: verify_bundle(data, keys, at=NOW),
        "verify with both status lists": lambda: verify_bundle(data, keys, at=NOW, status_lists=lists),
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
    _memory(data, keys)


def _issued(payload: Payload, proof: LogProof) -> bytes:
    """Sealed, signed, proved, as its file: all of issuing but storage, and but the log, which is measured on its own."""
    return issue(payload, KEY).with_proof(proof).to_bytes()


def _status_lists() -> list[bytes]:
    base = "https://sigma.example/status/1"
    return [
        StatusList(
            uri=list_uri(base, status),
            status=status,
            valid_from=NOW,
            valid_until=NOW + timedelta(days=1),
            ttl=timedelta(minutes=5),
            bits=bits_of(range(0, 131_000, 100)),
        ).sign(KEY)
        for status in PURPOSES
    ]


def _memory(data: bytes, keys: KeySet) -> None:
    """Bytes that an opened certificate takes, and the most that opening one takes on top."""
    tracemalloc.start()
    held = [open_bundle(data, keys) for _ in range(MEMORY_COPIES)]
    each = tracemalloc.get_traced_memory()[0] // MEMORY_COPIES
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    open_bundle(data, keys)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    print(
        f"memory: an opened certificate {each:,} bytes (of {len(held)}), its file {len(data):,}; opening one {peak:,} at most"
    )


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
