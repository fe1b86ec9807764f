"""Dagster's pools, one for each provider: who has to wait, and that what was taken is given back."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from audit_world import World

from sigma_pipelines.provider_pools import pool_of, provider_turns


@pytest.fixture
def context(world: World) -> dg.AssetExecutionContext:
    """What a step of a run has: its instance and its run."""
    from sigma_pipelines.definitions import defs

    run = world.instance.create_run_for_job(defs.resolve_job_def("audit_round"))
    return cast("dg.AssetExecutionContext", SimpleNamespace(instance=world.instance, run=run))


def slots(world: World, provider: str) -> Any:
    return world.instance.event_log_storage.get_concurrency_info(pool_of(provider))


def test_without_a_limit_nobody_waits_and_no_slot_is_taken(world: World, context: dg.AssetExecutionContext) -> None:
    turn = provider_turns(context)
    with turn("ollama", "rnd_1/1/1"), turn("ollama", "rnd_1/1/2"):
        assert slots(world, "ollama").active_slot_count == 0


def test_as_many_seats_as_the_pool_has_slots_ask_a_provider_and_the_next_waits_for_one_of_them(
    world: World, context: dg.AssetExecutionContext
) -> None:
    world.instance.event_log_storage.set_concurrency_slots(pool_of("openai"), 1)
    turn, asked = provider_turns(context), threading.Event()

    def second() -> None:
        with turn("openai", "rnd_1/1/2"):
            asked.set()

    waits = threading.Thread(target=second, daemon=True)
    with turn("openai", "rnd_1/1/1"):
        waits.start()
        while not slots(world, "openai").pending_step_count:
            time.sleep(0.01)
        assert slots(world, "openai").active_slot_count == 1
        assert not asked.is_set()
        with turn("anthropic", "rnd_1/1/3"):
            pass  # another provider's pool is another one
    waits.join()
    assert asked.is_set()
    assert slots(world, "openai").active_slot_count == 0


def test_a_seat_whose_question_fails_gives_its_slot_back(world: World, context: dg.AssetExecutionContext) -> None:
    world.instance.event_log_storage.set_concurrency_slots(pool_of("vllm"), 1)
    with pytest.raises(RuntimeError, match="no answer"), provider_turns(context)("vllm", "rnd_1/1/1"):
        raise RuntimeError("no answer")
    assert slots(world, "vllm").active_slot_count == 0
