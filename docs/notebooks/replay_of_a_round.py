"""One round, looked at seat by seat and recomputed from its public document.

marimo edit docs/notebooks/replay_of_a_round.py
python docs/notebooks/replay_of_a_round.py                the newest decided round
python docs/notebooks/replay_of_a_round.py --round ID     another one
"""

import marimo

app = marimo.App(width="medium", app_title="SIGMA: replay of a round")


@app.cell
def _():
    import altair as alt
    import marimo as mo

    from dbt_like_sql.desk import query
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.replay import replay_kept_round

    deployment = open_deployment()

    def rows(sql: str):
        return query(deployment.settings.lake, sql).frame

    return alt, deployment, mo, replay_kept_round, rows


@app.cell
def _(mo, rows):
    rounds = rows(
        """
        SELECT round_id, submission_name, outcome, safe_votes, unsafe_votes, decided_at
        FROM round_outcomes
        WHERE outcome IS NOT NULL
        ORDER BY decided_at DESC, round_id
        """
    )
    _ids = rounds["round_id"].to_list()
    _asked = mo.cli_args().get("round")
    choice = mo.ui.dropdown(options=_ids, value=_asked if _asked in _ids else _ids[0] if _ids else None, label="Round")
    mo.vstack([mo.md("# Replay of a round"), choice, mo.ui.table(rounds, page_size=5)])
    return choice, rounds


@app.cell
def _(choice, deployment, mo, replay_kept_round):
    mo.stop(choice.value is None, mo.md("No round is decided yet: `sigma audit PATH` makes one."))
    replayed = replay_kept_round(deployment, choice.value)
    _verdict = "agrees bit for bit" if not replayed.differences else "differs"
    _lines = [f"- {line}" for line in (*replayed.differences, *(f"not covered: {line}" for line in replayed.unchecked))]
    mo.md(f"## {choice.value} {_verdict}\n\n" + "\n".join(_lines))
    return (replayed,)


@app.cell
def _(alt, choice, mo, rows):
    _quoted = choice.value.replace("'", "''")
    seats = rows(f"SELECT * FROM stg_seats WHERE round_id = '{_quoted}' ORDER BY phase, seat_number")
    _squares = (
        alt.Chart(alt.InlineData(values=seats.to_dicts()))
        .mark_rect(stroke="white")
        .encode(
            x=alt.X("seat_number:O", title="seat"),
            y=alt.Y("phase:O"),
            color=alt.Color(
                "vote:N",
                scale=alt.Scale(
                    domain=["SAFE", "UNSAFE", "ABSTAIN", "NO_SHOW"], range=["#2a9d62", "#c8443a", "#c9a227", "#888888"]
                ),
            ),
            tooltip=["validator_id:N", "operator:N", "family:N", "finding_count:Q"],
        )
    )
    mo.vstack([_squares.properties(width=420, height=120), mo.ui.table(seats)])
    return (seats,)


@app.cell
def _(choice, mo, rows):
    _quoted = choice.value.replace("'", "''")
    points = rows(f"SELECT * FROM stg_accuracy_entries WHERE round_id = '{_quoted}' ORDER BY entry_key")
    paid = rows(f"SELECT * FROM stg_payouts WHERE round_id = '{_quoted}' ORDER BY entry_key")
    mo.vstack([mo.md("## What it did to standing"), mo.ui.table(points), mo.md("## What it paid"), mo.ui.table(paid)])
    return paid, points


if __name__ == "__main__":
    app.run()
