"""Dagster concurrency pools for language-model work, one for each provider: how many seats ask it at once, over all runs and workers.

``dagster instance concurrency set language_models/openai 8`` (or the UI: Deployment, Concurrency) limits a pool; one without a
limit lets everybody pass. An asset's own ``pool=`` would hold a whole batch, and the embedded engines in it, for as long as its
slowest provider; so a seat takes a slot of its provider's pool around its questions alone, by the calls that Dagster's executors make
for a step (internal to Dagster, hence the exact pin and the test that covers them).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from sigma_core.lifecycle.audits import Turn

POLL_SECONDS = 0.2


def pool_of(provider: str) -> str:
    """The pool of a provider of the policy's ladder."""
    return f"language_models/{provider}"


def provider_turns(context: dg.AssetExecutionContext) -> Turn:
    """Turns of this run's seats. A run that dies gives its slots back by Dagster's run monitoring."""
    instance, run = context.instance, context.run

    @contextmanager
    def turn(provider: str, place: str) -> Iterator[None]:
        with InstanceConcurrencyContext(instance, run) as slots:
            while not slots.claim(pool_of(provider), place):
                time.sleep(POLL_SECONDS)
            try:
                yield
            finally:
                slots.free_step(place)

    return turn
