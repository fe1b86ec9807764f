"""The analyser of Python on the idioms of malware, and on honest code that looks like it."""

from __future__ import annotations

import pytest
from python_samples import FLOWS, HITS, HONEST

from sigma_core.sandbox.observations import Observations, Sink, Source
from sigma_core.sandbox.python import read_python

_ORDINARY = {(Source.SECRET_VARIABLE, Sink.SEND_HEADER), (Source.INPUT, Sink.SEND)}


def _flows(observed: Observations) -> set[tuple[Source, Sink]]:
    return {(flow.source, flow.sink) for flow in observed.flows}


@pytest.mark.parametrize("name", FLOWS)
def test_value_is_followed_to_where_it_goes(name: str) -> None:
    source, flow = FLOWS[name]
    assert flow in _flows(read_python(source))


@pytest.mark.parametrize("name", HITS)
def test_structure_of_an_attack_is_reported(name: str) -> None:
    source, rule = HITS[name]
    assert rule in {hit.rule_id for hit in read_python(source).hits}


@pytest.mark.parametrize("name", HONEST)
def test_honest_look_alike_is_not_reported(name: str) -> None:
    observed = read_python(HONEST[name])
    assert not observed.hits
    assert _flows(observed) <= _ORDINARY
