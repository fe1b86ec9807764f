"""Usage accounting of audit engines, in a database of its own: one row per attempt, append-only.

`prices` is the table, `cost` the rule that turns an attempt into micro-USD, `ledger` claims, pays and records attempts within
their budgets, `reconciliation` holds the rows against their own budgets and against what providers say they billed
(`provider_totals`).
"""
