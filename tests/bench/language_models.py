"""Language models: overhead of a call, and panels a second at 0, 200 ms and 2 s, in a 429 storm and with one slow provider.

The provider is the scripted server on loopback, in a process of its own. A panel is five seats on two models; each seat is
one call of a prompt of some 9 kB, claimed, paid and recorded in a usage database on disk. Baseline: the same requests by
bare httpx, without ledger, limits or reading.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from sigma_core.audit.grounding import ground
from sigma_core.audit.language_models.caller import Caller
from sigma_core.audit.language_models.families import PROVIDERS, Endpoint, SeatPlace
from sigma_core.audit.language_models.judge import Judge
from sigma_core.audit.language_models.packing import pack
from sigma_core.audit.model import AuditRequest, Verdict, View
from sigma_core.policy import LanguageModelRules, Rung, load_policy
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.storage.migrations import upgrade
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files
from sigma_core.usage.ledger import UsageLedger
from sigma_core.usage.prices import load_prices
from tests.scripted_models import Step, error, serving, slow

ROOT = Path(__file__).resolve().parents[2]
SEATS = 5
MODELS = (("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"))
POLICY = load_policy()
PACKAGE = Package(
    files=sorted_files(
        [
            PackageFile.of(
                "SKILL.md", b"---\nname: notes\n---\n# Notes\n" + b"Summarise the commits since the last tag.\n" * 120
            ),
            PackageFile.of("run.py", b"import subprocess\n\n\ndef main():\n    print('notes')\n" * 25),
        ]
    ),
    manifest={"name": "notes"},
    product_type=ProductType.SKILL,
    source_name="bench",
)
REQUEST = AuditRequest(PACKAGE, FactsDocument({"facts": [], "coverage": {"complete": True}, "risk": {}}), View.FULL)


def rules(**fields: int) -> LanguageModelRules:
    """The policy's, without its limits on rate and money: the machine's own are what is measured."""
    free = {
        "requests_per_minute": 10**7,
        "tokens_per_minute": 10**11,
        "calls_at_once": 256,
        "day_budget_micro_usd": 10**12,
        "hedge_after_calls": 0,
    }
    return LanguageModelRules(**{**POLICY.language_models.model_dump(exclude={"tiers", "ladder"}), **free, **fields})


class Panels:
    """Panels on the scripted server, with a usage database of their own."""

    def __init__(self, url: str, folder: str, **fields: int) -> None:
        self.rules = rules(**fields)
        engine = open_engine(f"sqlite:///{folder}/usage-{time.monotonic_ns()}.db")
        upgrade(engine, "usage")
        self.engine = engine
        ledger = UsageLedger(session_factory(engine), Blobs(Path(folder).as_uri()), load_prices(), self.rules)
        endpoints = {
            provider: Endpoint(PROVIDERS[provider], f"{url}{path}", "sk-bench")
            for (provider, _), path in zip(MODELS, ("/chat/completions", "/messages"), strict=True)
        }
        self.caller = Caller(endpoints, self.rules, ledger)
        self.abstained = 0

    def hold(self, number: int) -> float:
        """One panel; seconds."""
        started = time.perf_counter()
        with ThreadPoolExecutor(SEATS) as pool:
            verdicts = list(pool.map(lambda seat: self.seat(number, seat), range(SEATS)))
        self.abstained += sum(verdict is not Verdict.SAFE for verdict in verdicts)
        return time.perf_counter() - started

    def seat(self, number: int, seat: int) -> Verdict:
        provider, model = MODELS[seat % len(MODELS)]
        place = SeatPlace(f"rnd_{number}", f"sub_{number}", 1, seat, f"val_{seat}", f"{number:064x}")
        rung = Rung(family=provider, tier=1, provider=provider, model=model)  # type: ignore[arg-type]
        judge = Judge(rung, self.rules, POLICY.audit, self.caller, place)
        return ground(judge.audit(REQUEST), PACKAGE, POLICY.audit).verdict

    def close(self) -> None:
        self.caller.close()
        self.engine.dispose()


@contextmanager
def server(latency_ms: int) -> Iterator[str]:
    """The scripted server in a process of its own, so that its CPU is not counted as ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.scripted_models", str(latency_ms)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def measured(panels: Panels, count: int, at_once: int) -> str:
    """``count`` panels, ``at_once`` of them at a time."""
    panels.hold(10**6)  # connections, caches
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(at_once) as pool:
        seconds = sorted(pool.map(panels.hold, range(count)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return (
        f"{count / wall:7.2f} panels/s  {count * SEATS / wall:7.1f} calls/s  {1_000 * cpu / (count * SEATS):6.2f} ms CPU a call  "
        f"panel median {statistics.median(seconds):5.2f} s, p95 {seconds[len(seconds) * 95 // 100]:5.2f} s"
    )


def bare(url: str, body: bytes, count: int) -> float:
    """CPU milliseconds of one request by httpx alone."""

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            await client.post(f"{url}/chat/completions", content=body)
            started = time.process_time()
            for _ in range(0, count, SEATS):
                await asyncio.gather(*(client.post(f"{url}/chat/completions", content=body) for _ in range(SEATS)))
            figures.append(1_000 * (time.process_time() - started) / count)

    figures: list[float] = []
    asyncio.run(ask())
    return figures[0]


def storm(folder: str, script: list[Step], what: str, **fields: int) -> None:
    """Panels against a script, server in this process."""
    with serving() as models:
        models.play(*script)
        panels = Panels(models.url, folder, **fields)
        line = measured(panels, 20, 4)
        print(f"  {what:<38} {line}  {len(models.asked)} requests, {panels.abstained} of {21 * SEATS} seats abstained")
        panels.close()


def slow_provider(folder: str) -> None:
    """Every tenth answer of one provider takes 3 s: with and without hedging."""
    for what, fields in (("without hedging", {}), ("hedged after its own p95", {"hedge_after_calls": 20})):
        with serving(latency=0.05) as models:
            for _ in range(40):
                models.play(*[Step()] * 9, slow(3.0), model=MODELS[0][1])
            panels = Panels(models.url, folder, **fields)
            line = measured(panels, 40, 4)
            print(f"  one slow provider, {what:<24} {line}")
            panels.close()


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as folder:
        with server(0) as url:
            panels = Panels(url, folder)
            seat = Judge(
                Rung(family="gpt", tier=1, provider="openai", model="gpt-4o-mini"),
                panels.rules,
                POLICY.audit,
                panels.caller,
                SeatPlace("rnd_x", "sub_x", 1, 1, "val_1", "00" * 32),
            )
            chunk = pack(PACKAGE, panels.rules.chunk_characters, panels.rules.overlap_lines)[0]
            body = seat._call(seat._prompt(REQUEST, chunk, 1, 1), "audit1", "audit").body
            print(f"prompt of {len(body):,} bytes; server in its own process:")
            print(f"  {'httpx alone, 0 ms':<38} {bare(url, body, 300):6.2f} ms CPU a call")
            print(f"  {'0 ms, 8 panels at once':<38} {measured(panels, 60, 8)}")
            panels.close()
        for latency, count, at_once in ((200, 160, 32), (2_000, 64, 32)):
            with server(latency) as url:
                panels = Panels(url, folder)
                print(f"  {f'{latency} ms, {at_once} panels at once':<38} {measured(panels, count, at_once)}")
                panels.close()
        print("scripts; server in this process, its CPU counted too:")
        storm(folder, [], "no fault")
        storms: tuple[tuple[str, Callable[[], list[Step]]], ...] = (
            ("429 storm: 60 refusals in a row", lambda: [Step()] * 10 + [error(429, "0")] * 60),
            ("ten times 429, Retry-After 1", lambda: [Step(), Step(), error(429, "1")] * 10),
            ("every third answer 500", lambda: [Step(), Step(), error(500)] * 60),
        )
        for what, script in storms:
            storm(folder, script(), what, attempts_per_call=16)
        slow_provider(folder)


if __name__ == "__main__":
    main()
