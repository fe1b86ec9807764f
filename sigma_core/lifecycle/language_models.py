"""Language-model families of a deployment: which can be asked, and the judge behind a seat.

With no key set no such family has validators, and none of the machinery behind this module is imported.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sigma_core.audit.language_models.families import FamilyStatus, SeatPlace, endpoints, family_statuses
from sigma_core.deployment import Deployment
from sigma_core.policy import Rung

if TYPE_CHECKING:
    from sigma_core.audit.language_models.caller import Caller
    from sigma_core.audit.language_models.judge import Judge

_judges: WeakKeyDictionary[Deployment, Judges] = WeakKeyDictionary()
_judges_lock = threading.Lock()


class Judges:
    """The language models that one deployment can ask. Get it from `judges_of`."""

    def __init__(self, deployment: Deployment) -> None:
        self._policy = deployment.policy
        self._settings = deployment.settings
        self._sessions = deployment.usage_sessions
        self._blobs = deployment.blobs
        self._lock = threading.Lock()
        self._open: Caller | None = None
        self.statuses: Mapping[str, FamilyStatus] = {
            status.family: status for status in family_statuses(self._policy.language_models, self._settings)
        }

    def judge(self, family: str, parameters: Mapping[str, int | str], place: SeatPlace, advice: str) -> Judge | str:
        """The engine of a validator's seat, or why there is none. ``parameters`` may hold the validator's ``tier``."""
        from sigma_core.audit.language_models.judge import Judge  # noqa: PLC0415 - only where a model is asked

        status = self.statuses[family]
        if not status.enabled:
            return f"family {family} is disabled here: {status.reason}"
        rung = self._rung(family, parameters)
        return Judge(rung, self._policy.language_models, self._policy.audit, self._caller, place, advice)

    def provider(self, family: str, parameters: Mapping[str, int | str]) -> str:
        """The provider that a validator's model is asked through."""
        return self._rung(family, parameters).provider

    def _rung(self, family: str, parameters: Mapping[str, int | str]) -> Rung:
        tier = parameters.get("tier", 1)
        rung = self._policy.language_models.rung(family, tier if isinstance(tier, int) else 1)
        assert rung is not None, "a family has a status because the ladder has it"
        return rung

    def close(self) -> None:
        """Close connections and the loop behind them."""
        with self._lock:
            if self._open is not None:
                self._open.close()

    @property
    def _caller(self) -> Caller:
        with self._lock:
            if self._open is None:
                self._open = self._opened()
            return self._open

    def _opened(self) -> Caller:
        from sigma_core.audit.language_models.caller import Caller  # noqa: PLC0415
        from sigma_core.usage.ledger import UsageLedger  # noqa: PLC0415
        from sigma_core.usage.prices import load_prices  # noqa: PLC0415

        rules = self._policy.language_models
        ledger = UsageLedger(self._sessions, self._blobs, load_prices(self._settings.price_file), rules)
        return Caller(endpoints(rules, self._settings), rules, ledger)


def judges_of(deployment: Deployment) -> Judges:
    """The one `Judges` of a deployment; it closes with it."""
    with _judges_lock:
        if deployment not in _judges:
            made = Judges(deployment)
            deployment.on_close(made.close)
            _judges[deployment] = made
        return _judges[deployment]


def disabled_families(deployment: Deployment) -> list[dict[str, str]]:
    """``[{family, reason}]`` of the ladder's families that cannot be asked here: what a round's assurance goes without."""
    statuses = family_statuses(deployment.policy.language_models, deployment.settings)
    return [status.as_json() for status in statuses if not status.enabled]
