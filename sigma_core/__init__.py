"""The SIGMA protocol: packages in, facts, verdicts, standing and certificates out.

Nothing in here imports Dagster or FastAPI; effects live in each domain's ``service`` module and in ``storage``.
"""

__version__ = "0.1.0"
