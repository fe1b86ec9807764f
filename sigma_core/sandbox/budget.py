"""Counted work: what an inspection may cost, in bytes looked at, so that the same bytes always give the same facts."""

from __future__ import annotations

from sigma_core.policy import SandboxBudgets

FILE_UNITS = 512
"""Work that a file costs whatever its size: its entry in the ledger, its place in every judgement."""


class BudgetExhausted(Exception):
    """The work budget named ``bound`` is used up; the inspection of this file ends here and says so."""

    def __init__(self, bound: str) -> None:
        super().__init__(bound)
        self.bound = bound


class WorkMeter:
    """Counts work for one package. One unit is one byte given to one analyser, or a few bytes that are only searched for marks."""

    def __init__(self, budgets: SandboxBudgets) -> None:
        self._budgets = budgets
        self.package_units = 0
        self.file_units = 0

    def start_file(self) -> None:
        """Begin the next file; raises BudgetExhausted where the package has no work left for one."""
        self.file_units = 0
        self.spend(FILE_UNITS)

    def require(self, units: int) -> None:
        """Raises BudgetExhausted where ``units`` would pass a bound; counts nothing."""
        if self.file_units + units > self._budgets.work_units_per_file:
            raise BudgetExhausted("work_units_per_file")
        if self.package_units + units > self._budgets.work_units_per_package:
            raise BudgetExhausted("work_units_per_package")

    def spend(self, units: int) -> None:
        """Account for ``units``; raises BudgetExhausted before the bound would be passed."""
        self.require(units)
        self.file_units += units
        self.package_units += units
