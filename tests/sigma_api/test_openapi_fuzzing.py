"""What the published document says is how the planes behave: schemathesis asks them everything that it allows and forbids.

The bounded run of CI makes `EXAMPLES` requests of each kind for each operation; a longer one is
``SIGMA_FUZZ_EXAMPLES=1000 ./sigma test tests/sigma_api/test_openapi_fuzzing.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from certified_for_real import CertifiedForReal, certified_for_real
from http_client import Client
from loopback import site
from schemathesis.engine import events, from_schema
from schemathesis.engine.run import PhaseName

from sigma_api.app import Host, create_app
from sigma_api.public import quotas, source
from sigma_core.certificates.status_list import PURPOSES

EXAMPLES = int(os.environ.get("SIGMA_FUZZ_EXAMPLES", "20"))
PUBLIC = "/api/v1/public"
NO_SCHEMA_CAN_SAY = {("positive_data_acceptance", f"POST {PUBLIC}/dry-run")}
"""Which bytes are a package."""


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertifiedForReal]:
    with certified_for_real(tmp_path_factory.mktemp("fuzzed"), public_rate_requests="100000000") as certified:
        yield certified


@pytest.fixture
def app(certified: CertifiedForReal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """All planes, with quotas that nobody uses up, and a site on this machine in the place of GitHub's raw content host."""
    for name, quota in vars(quotas).copy().items():
        if name.isupper():
            monkeypatch.setattr(quotas, name, (quota[0], 1_000_000_000, 60))
    with site(lambda _path: (200, {}, b"somebody's skill")) as url:
        monkeypatch.setattr(source, "RAW_CONTENT", url)
        monkeypatch.setattr(source, "RULES", replace(source.RULES, also_allowed=frozenset({"127.0.0.1"})))
        yield create_app(certified.deployment)


def known_values(certified: CertifiedForReal, app: Host) -> dict[str, list[Any]]:
    """Values of parameters that name something here: no schema can know them, and by chance none would be met."""
    client = Client(app)
    cursors = {
        path: client.get(path, params={"limit": 1}).json()["nextCursor"]
        for path in (f"{PUBLIC}/certificates", f"{PUBLIC}/standing", "/.well-known/skill-store")
    }
    validators = client.get(f"{PUBLIC}/standing").json()["items"]
    client.close()
    rows = (certified.approved, certified.with_api, certified.suspended, certified.revoked)
    return {
        "certificate_id": [row.id for row in rows],
        "round_id": [row.round_id for row in rows],
        "validator_id": [validators[0]["validatorId"]],
        "slug": ["not-found"],
        "index": [0, 3],
        "number": [0],
        "purpose": sorted(PURPOSES.values()),
        "tile": ["0/000.p/6", "entries/000.p/6"],
        "epoch": [1],
        **{f"cursor of {path}": [cursor] for path, cursor in cursors.items() if cursor},
    }


def seeded(document: dict[str, Any], known: dict[str, list[Any]]) -> None:
    """Make every parameter of ``document`` that names something one of the ``known`` values, or what it was."""
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                name, examples = parameter["name"], parameter["schema"].get("examples")
                values = known.get(name) or known.get(f"{name} of {path}") or examples
                assert values or parameter["in"] != "path", f"no value is known for {name} of {path}"
                if values:
                    parameter["schema"] = {"anyOf": [{"enum": values}, parameter["schema"]]}


def test_every_answer_is_what_the_document_says(certified: CertifiedForReal, app: Host) -> None:
    """Status codes, content types, headers and bodies are documented ones; what the schemas allow is taken, what they forbid
    refused; methods that a path has not are refused with ``Allow``; nothing is a server error."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seeded(schema.raw_schema, known_values(certified, app))
    schema.config.generation.max_examples = EXAMPLES
    schema.config.seed = 6
    # No schema can say which cursors are ours: one that is not gets 400.
    schema.config.checks.positive_data_acceptance.expected_statuses.append("400")
    asked: dict[PhaseName, int] = dict.fromkeys(PhaseName, 0)
    failures: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            asked[event.phase] += len(event.recorder.interactions)
            failures += [
                f"{event.recorder.label}, {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.failure_info is not None and (check.name, event.recorder.label) not in NO_SCHEMA_CAN_SAY
            ]
        elif isinstance(event, events.NonFatalError):
            # Hypothesis giving up on a pattern says nothing of the answers; what is asked at all is asserted below.
            failures += [] if "FailedHealthCheck" in str(event.info) else [str(event.info)]
        elif isinstance(event, events.FatalError):
            raise event.exception
    print("requests:", {phase.name: count for phase, count in asked.items()})
    assert not failures, "\n\n".join(dict.fromkeys(failures))
    assert all(
        asked[phase]
        for phase in (PhaseName.EXAMPLES, PhaseName.COVERAGE, PhaseName.FUZZING, PhaseName.STATEFUL_TESTING)
    )
