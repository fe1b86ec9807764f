"""Standing of the validators of this deployment: where weight lies, how it moved, and what it rests on.

    marimo edit docs/notebooks/standing.py      look and change
    python docs/notebooks/standing.py           run it through

It reads the marts of the deployment that SIGMA_HOME names, as `sigma query` does.
"""

import marimo

app = marimo.App(width="medium", app_title="SIGMA: standing")


@app.cell
def _():
    import altair as alt
    import marimo as mo

    from dbt_like_sql.desk import query
    from sigma_core.config import load_settings

    lake = load_settings().lake

    def rows(sql: str):
        return query(lake, sql, rows=200_000).frame

    def values(frame):
        return alt.InlineData(values=frame.to_dicts())

    return alt, mo, rows, values


@app.cell
def _(mo, rows):
    standing = rows(
        """
        SELECT validator_id, operator, family, status, accuracy_ppm / 1e6 AS accuracy, reputation_ppm / 1e6 AS reputation,
               stake_share_ppm / 1e4 AS stake_percent, weight_share_ppm / 1e4 AS weight_percent, scored_seats, missed_seats, bad_events
        FROM validator_standing
        ORDER BY weight DESC
        """
    )
    mo.vstack(
        [mo.md(f"# Standing\n\n{standing.height} validators, newest epoch."), mo.ui.table(standing, page_size=12)]
    )
    return (standing,)


@app.cell
def _(alt, mo, standing, values):
    _base = alt.Chart(values(standing.drop_nulls("weight_percent"))).encode(
        x=alt.X("stake_percent:Q", title="share of all stake, %"),
        y=alt.Y("weight_percent:Q", title="share of all weight, %"),
    )
    _points = _base.mark_circle(size=60, opacity=0.7).encode(
        color="family:N", tooltip=["validator_id:N", "operator:N", "accuracy:Q", "reputation:Q", "scored_seats:Q"]
    )
    mo.vstack([mo.md("## Weight against stake"), _points.properties(width=560, height=320)])
    return


@app.cell
def _(alt, mo, rows, values):
    over_time = rows(
        """
        SELECT epoch, family, avg(accuracy_ppm) / 1e6 AS accuracy, sum(weight_share_ppm) / 1e4 AS weight_percent
        FROM standing_over_time INNER JOIN stg_validators USING (validator_id)
        GROUP BY epoch, family
        ORDER BY epoch, family
        """
    )
    _lines = (
        alt.Chart(values(over_time))
        .mark_line(point=True)
        .encode(x=alt.X("epoch:O"), y=alt.Y("weight_percent:Q", title="weight, %"), color="family:N")
    )
    mo.vstack([mo.md("## Over time, by family"), _lines.properties(width=560, height=260)])
    return (over_time,)


@app.cell
def _(mo, rows):
    alignment = rows("FROM alignment_by_truth_source")
    correlation = rows("FROM family_error_correlation")
    fairness = rows("SELECT * FROM selection_fairness ORDER BY abs(z_milli) DESC LIMIT 20")
    mo.vstack(
        [
            mo.md("## Alignment by source of truth"),
            mo.ui.table(alignment),
            mo.md("## How much errors of families coincide"),
            mo.ui.table(correlation) if correlation.height else mo.md("No truth yet that the votes did not make."),
            mo.md("## Seats drawn against seats expected\n\nThe twenty furthest apart; beyond ±4,000 is worth a look."),
            mo.ui.table(fairness),
        ]
    )
    return alignment, correlation, fairness


@app.cell
def _(mo, rows):
    paid = rows("SELECT * FROM payouts_by_validator ORDER BY balance_micro_usd DESC")
    mo.vstack([mo.md("## Payouts"), mo.ui.table(paid, page_size=10)])
    return (paid,)


if __name__ == "__main__":
    app.run()
