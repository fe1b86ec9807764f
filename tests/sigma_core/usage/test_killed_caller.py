"""A worker that is killed between claim and answer: its attempt is a row, its money stays held, and the call goes on elsewhere."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from sigma_core.audit.language_models.attempts import Call
from sigma_core.audit.language_models.caller import Caller
from sigma_core.audit.language_models.families import PROVIDERS, Endpoint
from sigma_core.policy import LanguageModelRules
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.timestamps import utc_now
from sigma_core.usage.ledger import UsageLedger
from sigma_core.usage.prices import load_prices
from sigma_core.usage.reconciliation import budgets_that_disagree
from tests.scripted_models import serving, slow

BODY = json.dumps(
    {"model": "gpt-5", "messages": [{"role": "user", "content": '\nfiles shown: ["a"]\nCanary: c'}]}
).encode()
CALL = Call("rnd_1/1/1/val_1/audit1", "rnd_1", "sub_1", 1, "val_1", "audit", "openai", "gpt-5", BODY, 1_000, 1_000)
ASKS = (
    "import sys; sys.path.insert(0, sys.argv[3]); import test_killed_caller as here; from pathlib import Path;"
    "caller, engine = here.caller(Path(sys.argv[1]), sys.argv[2]); caller.ask_all([here.CALL])"
)


def caller(folder: Path, url: str, later: int = 0):  # type: ignore[no-untyped-def]
    """A caller on the usage database in ``folder``, whose clock is ``later`` seconds ahead."""
    engine = open_engine(f"sqlite:///{folder}/usage.db")
    upgrade(engine, "usage")
    rules = LanguageModelRules()
    ledger = UsageLedger(
        session_factory(engine),
        Blobs(folder.as_uri()),
        load_prices(),
        rules,
        lambda: utc_now() + timedelta(seconds=later),
    )
    endpoint = Endpoint(PROVIDERS["openai"], f"{url}/chat/completions", "sk-correct-horse-battery")
    return Caller({"openai": endpoint}, rules, ledger), engine


def test_a_worker_that_is_killed_mid_call_leaves_a_row_and_the_call_goes_on_elsewhere(tmp_path: Path) -> None:
    with serving([slow(600)]) as models:
        started = subprocess.Popen(
            [sys.executable, "-c", ASKS, str(tmp_path), models.url, str(Path(__file__).parent)],
            cwd=Path(__file__).parents[3],
        )
        while not models.asked:
            assert started.poll() is None
            time.sleep(0.02)
        started.send_signal(signal.SIGKILL)
        started.wait()
        asking, engine = caller(tmp_path, models.url, later=101)
        (settled,) = asking.ask_all([CALL])
        assert settled.reply is not None
        assert asking.ask_all([CALL]) == [settled]
        asking.close()
        assert len(models.asked) == 2
    with session_factory(engine)() as session:
        rows = session.scalars(select(CallAttemptRow).order_by(CallAttemptRow.attempt_number)).all()
    assert [(row.attempt_number, row.state, row.cost_micro_usd is None) for row in rows] == [
        (1, "lost", True),
        (2, "done", False),
    ]
    assert rows[0].budget_micro_usd > 0
    assert budgets_that_disagree(session_factory(engine)) == ()
    engine.dispose()
