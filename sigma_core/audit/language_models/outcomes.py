"""What became of an attempt, and what follows from it for its call. Pure.

What an attempt can end in, and what follows:

==========================================  ==========================  =====  =======  ==========
what comes back                             code of the attempt         again  breaker  its cost
==========================================  ==========================  =====  =======  ==========
an answer, a refusal, one cut for length    the finish reason           no     good     as counted
the answer of another model                 ``other_model``             no     good     unknown
200 that is no response of this API         ``malformed``               yes    bad      unknown
429                                         ``http_429``                yes    nothing  none
429 that says there is no credit left       ``http_429``                no     opens    none
401, 403                                    ``http_401``, ``http_403``  no     opens    none
other 3xx, 4xx                              ``http_400`` …              no     nothing  none
other 2xx                                   ``http_204`` …              no     bad      unknown
408, 5xx                                    ``http_500`` …              yes    bad      unknown
no connection                               ``connect``                 yes    bad      none
cut off, compressed unasked                 ``reset``, ``encoded``      yes    bad      unknown
larger than allowed                         ``too_large``               no     bad      unknown
nothing before the attempt's deadline       ``deadline``                yes    bad      unknown
==========================================  ==========================  =====  =======  ==========

Where it is asked again, a ``Retry-After`` is waited out; one beyond the policy's cap gives the call up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sigma_core.audit.language_models.attempts import Attempt, AttemptState
from sigma_core.audit.language_models.dialects import Reply, ResponseMalformed, is_model, read_response
from sigma_core.audit.language_models.families import Dialect
from sigma_core.audit.language_models.faults import NO_CREDIT, error_word, explained
from sigma_core.audit.language_models.lanes import retry_after_ms
from sigma_core.audit.language_models.transport import Response

_OK, _TOO_MANY, _TIMED_OUT = 200, 429, 408
_KEY_REFUSED = (401, 403)
_OTHER_SUCCESSES = range(201, 300)
_SERVER_FAULTS = range(500, 600)


@dataclass(frozen=True, slots=True)
class Ended:
    """A try that is over: its attempt (None where none was made), its reply, and whether another try may do better; ``hopeless`` where
    no other call to this model would, ``taken`` where another worker makes the call now."""

    attempt: Attempt | None
    reply: Reply | None = None
    fault: str = ""
    again: bool = False
    hopeless: bool = False
    taken: bool = False
    wait_ms: int | None = None


def outcome_of(attempt: Attempt, dialect: Dialect, response: Response, retry_after_cap_ms: int, now: datetime) -> Ended:
    """What ``response``, which came ``now``, means for the call that ``attempt`` was made for."""
    status = response.status
    attempt = replace(attempt, http_status=status, response=response.body)
    if status != _OK:
        return _refused(attempt, response, retry_after_cap_ms, now)
    try:
        reply = read_response(dialect, response.body)
    except ResponseMalformed:
        fault = explained(attempt.call.provider, attempt.call.model, "malformed", error_word(response.body))
        return Ended(replace(attempt, code="malformed"), fault=fault, again=True)
    attempt = replace(attempt, tokens=reply.tokens, model_echoed=reply.model)
    if not is_model(attempt.call.model, reply.model):
        # What another model's tokens cost is not known here.
        return Ended(replace(attempt, code="other_model"))
    done = replace(
        attempt,
        state=AttemptState.DONE,
        code="refusal" if reply.refused else reply.finish_reason or "none",
        billed=True,
        reported_cost_micro_usd=reply.cost_micro_usd,
    )
    return Ended(done, reply=reply)


def _refused(attempt: Attempt, response: Response, retry_after_cap_ms: int, now: datetime) -> Ended:
    """Any other status than 200."""
    call, status, word = attempt.call, response.status, error_word(response.body)
    passing = status in _SERVER_FAULTS or status == _TIMED_OUT
    unsure = passing or status in _OTHER_SUCCESSES
    failed = replace(attempt, code=f"http_{status}", billed=None if unsure else False)
    fault = explained(call.provider, call.model, failed.code, word)
    if not passing and (status != _TOO_MANY or word == NO_CREDIT):
        return Ended(failed, fault=fault, hopeless=status in _KEY_REFUSED or word == NO_CREDIT)
    wait_ms = retry_after_ms(response.headers.get("retry-after"), now)
    if wait_ms is not None and wait_ms > retry_after_cap_ms:
        fault = f"{call.provider} asks to wait for {wait_ms // 1_000} s, which is too long"
        return Ended(failed, fault=fault, wait_ms=retry_after_cap_ms)
    return Ended(failed, fault=fault, again=True, wait_ms=wait_ms)
