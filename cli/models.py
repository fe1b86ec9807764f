"""``sigma operator models``: which language models this deployment can ask, whether they answer, and whether the books agree."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json, printable, reporting, stdout
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    help="Language models: what can be asked, whether it answers, whether the books agree.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command("list", epilog="Example: sigma operator models list")
def list_models(as_json: Json = False) -> None:
    """Every family of the policy's ladder: whether it can be asked here and what to set where not, its models, what they were measured to
    do, and today's budget. Asks nobody."""
    from sigma_core.lifecycle.ladder_report import ladder_report
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json):
        report = ladder_report(open_deployment(load_settings()))
    if as_json:
        print_json(report)
        return
    for family in report["families"]:
        seats = ", ".join(f"{count} {state.lower()}" for state, count in family["validators"].items())
        can = f"can be asked; validators: {seats or 'none'}" if family["enabled"] else f"disabled: {family['reason']}"
        _say(f"{family['family']}: {can}")
        for model in family["models"]:
            _say(f"  tier {model['tier']}  {model['provider']}/{model['model']}: {_measured(model['measured'])}")
            if not model["priceKnown"]:
                _say("          no price: what it costs is unknown; add it to SIGMA_PRICE_FILE")
    for plugin in report["pluginsLeftOut"]:
        _say(f"plugin {plugin['pluginId']} of {plugin['validatorId']} is in no prompt: {plugin['reason']}")
    _say(f"today: {report['dayCommittedMicroUsd']:,} of {report['dayBudgetMicroUsd']:,} micro-USD are spent or held")


def _measured(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "not measured yet, weighs as the ordinary tier"
    of = f"tier {figures['tier']}" if figures["tier"] else "below every bar"
    counts = f"caught {figures['caught']} of {figures['malicious']}, passed {figures['passed']} of {figures['benign']}"
    stale = "" if figures["current"] else "; it answers as another revision now"
    return f"measured as {of} ({counts}) on {figures['measuredAt'][:10]}{stale}"


@app.command("try", epilog="Example: sigma operator models try --json")
def try_them(as_json: Json = False) -> None:
    """Ask every model that can be asked here about one small skill, now and at your cost. Exit code 3 when one of them does not answer, or
    none can be asked."""
    from sigma_core.lifecycle.ladder_report import try_models
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json), closing(open_deployment(load_settings())) as deployment:
        tried = try_models(deployment)
    if as_json:
        print_json({"models": tried})
    for each in [] if as_json else tried:
        cost = "at unknown cost" if each["costMicroUsd"] is None else f"for {each['costMicroUsd']:,} micro-USD"
        told = f"{each['verdict']} in {each['latencyMs']} ms, {cost}" if each["answered"] else "no answer"
        _say(f"{each['provider']}/{each['model']}: {told}" + (f"; {each['reason']}" if each["reason"] else ""))
    if not tried and not as_json:
        _say("no model can be asked here: sigma operator models list says why")
    raise typer.Exit(ExitCode.OK if tried and all(each["answered"] for each in tried) else ExitCode.UNAVAILABLE)


@app.command(
    epilog="Example: sigma operator models reconcile openai-november.csv\n\n"
    "The file: provider,model,day,tokens_in,tokens_out,cost_micro_usd and a line for each model and UTC day"
)
def reconcile(
    totals: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CSV]",
            exists=True,
            help="What providers billed: a file, or a folder of them. Default: the folder provider-totals in SIGMA_HOME.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold the usage ledger against its own budgets and against what providers billed. Exit code 1 when a difference is unexplained."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.usage.provider_totals import read_totals
    from sigma_core.usage.reconciliation import budgets_that_disagree
    from sigma_core.usage.reconciliation import reconcile as held_against

    with reporting(as_json=as_json):
        settings = load_settings()
        billed = read_totals(totals or settings.provider_totals)
        sessions = open_deployment(settings).usage_sessions
        found = [*budgets_that_disagree(sessions), *held_against(sessions, billed)]
    unexplained = sum(not each.explained for each in found)
    if as_json:
        print_json(
            {"totals": len(billed), "differences": [each.as_json() for each in found], "unexplained": unexplained}
        )
    else:
        for each in found:
            _say(str(each))
        _say(f"{len(billed)} totals of providers, {len(found)} differences, {unexplained} unexplained")
    raise typer.Exit(ExitCode.NEGATIVE if unexplained else ExitCode.OK)


def _say(line: str) -> None:
    stdout.print(printable(line))
