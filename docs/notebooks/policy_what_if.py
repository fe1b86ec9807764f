"""What the weights would be under another policy: this deployment's own ledgers replayed, and a synthetic population beside them.

marimo edit docs/notebooks/policy_what_if.py
python docs/notebooks/policy_what_if.py
"""

import marimo

app = marimo.App(width="medium", app_title="SIGMA: policy what-if")


@app.cell
def _():
    import altair as alt
    import marimo as mo
    import polars as pl

    from dbt_like_sql.desk import query
    from sigma_core.config import load_settings
    from sigma_core.policy import half_life_factor, load_policy
    from sigma_core.simulation.compare import share_table, trial
    from sigma_core.simulation.population import SCENARIOS
    from sigma_core.simulation.study import with_standing
    from sigma_core.standing import accuracy
    from sigma_core.standing.ledger import ACCURACY_COLUMNS
    from sigma_core.standing.weights import VALIDATOR_COLUMNS, governance_weights

    settings = load_settings()
    policy = load_policy(settings.policy_file)

    def rows(sql: str):
        return query(settings.lake, sql, rows=5_000_000, seconds=300).frame

    return (
        ACCURACY_COLUMNS,
        SCENARIOS,
        VALIDATOR_COLUMNS,
        accuracy,
        alt,
        governance_weights,
        half_life_factor,
        mo,
        pl,
        policy,
        rows,
        share_table,
        trial,
        with_standing,
    )


@app.cell
def _(mo, policy):
    half_life = mo.ui.slider(5, 180, value=60, label="half-life of points, days")
    prior = mo.ui.slider(1, 32, value=policy.standing.accuracy_prior_points, label="prior, points on each side")
    missed = mo.ui.slider(1, 4, value=2, step=1, label="× points against SAFE on what is UNSAFE (simulation only)")
    submissions = mo.ui.slider(100, 4000, value=400, step=100, label="simulated submissions")
    mo.vstack([mo.md("# Policy what-if"), half_life, prior, missed, submissions])
    return half_life, missed, prior, submissions


@app.cell
def _(half_life, half_life_factor, missed, policy, prior, with_standing):
    changed = with_standing(
        policy,
        half_life_days=half_life.value,
        decay_per_day=half_life_factor(half_life.value, policy.standing.decay_bits),
        accuracy_prior_points=prior.value,
        missed_unsafe_q10=1024 * missed.value,
    )
    return (changed,)


@app.cell
def _(ACCURACY_COLUMNS, VALIDATOR_COLUMNS, accuracy, changed, governance_weights, mo, pl, policy, rows):
    _lines = rows(
        """
        SELECT validator_id, CAST(date_diff('day', DATE '1970-01-01', scored_on) AS BIGINT) AS day, aligned_q10, misaligned_q10
        FROM stg_accuracy_entries
        """
    ).select(*ACCURACY_COLUMNS)
    _validators = rows(
        """
        SELECT validator_id, operator, family, stake_micro_usd, tier_ppm, CAST(0 AS BIGINT) AS plugin_bonus_ppm,
               CAST(0 AS BIGINT) AS in_world_bonus_ppm, status <> 'ACTIVE' AS suspended
        FROM stg_validators
        """
    ).select(pl.col(name).cast(kind) for name, kind in VALIDATOR_COLUMNS.items())
    _reputation = rows("SELECT validator_id, reputation_ppm FROM validator_standing WHERE reputation_ppm IS NOT NULL")
    _today = int(_lines["day"].max() or 0)

    def weights_under(rules):
        state = accuracy.accuracy(accuracy.replay(_lines, _today, rules), rules)
        table = governance_weights(_validators, state.select("validator_id", "accuracy_ppm"), _reputation, rules)
        share = pl.col("weight") * 1_000_000 // max(1, table.total_weight)
        return table.frame.select("validator_id", "family", "accuracy_ppm", share_ppm=share)

    what_if = (
        weights_under(policy.standing)
        .join(weights_under(changed.standing), on=["validator_id", "family"], suffix="_changed")
        .with_columns(moved_ppm=pl.col("share_ppm_changed") - pl.col("share_ppm"))
        .sort(pl.col("moved_ppm").abs(), descending=True)
    )
    mo.vstack([mo.md("## This deployment's ledger under both"), mo.ui.table(what_if, page_size=10)])
    return (what_if,)


@app.cell
def _(SCENARIOS, alt, changed, mo, pl, policy, share_table, submissions, trial):
    _scenario = SCENARIOS["designed"].sized(submissions.value)
    shares = share_table([trial("as it is", _scenario, policy, (1,)), trial("changed", _scenario, changed, (1,))])
    _last = shares.filter(pl.col("day") == pl.col("day").max()).with_columns(ratio=pl.col("ratio_ppm") / 1e6)
    _bars = (
        alt.Chart(alt.InlineData(values=_last.to_dicts()))
        .mark_bar()
        .encode(
            y=alt.Y("group_name:N", title=None, sort=None),
            yOffset="policy:N",
            x=alt.X("ratio:Q", title="weight share / stake share"),
            color="policy:N",
        )
    )
    mo.vstack([mo.md("## A synthetic population under both"), _bars.properties(width=520, height=320)])
    return (shares,)


if __name__ == "__main__":
    app.run()
