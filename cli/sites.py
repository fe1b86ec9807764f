"""``sigma operator site``: which domain the publisher of a certified package has shown to be theirs."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli.output import print_json, printable, reporting, stdout
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode

app = typer.Typer(help="Domains that publishers have shown to be theirs.", no_args_is_help=True)

Certificate = Annotated[str, typer.Argument(metavar="ID", help="A certificate id.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why. Kept in the audit trail.", show_default=False)]
Actor = Annotated[
    str,
    typer.Option(help="Who. Kept in the audit trail.", default_factory=lambda: f"operator:{getpass.getuser()}"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command(epilog="Example: sigma operator site claim cert_… skills.example.org --reason 'asked by the publisher'")
def claim(
    certificate: Certificate,
    domain: Annotated[str, typer.Argument(help="The publisher's domain.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Claim a domain for a certified package; prints the line that its publisher puts on it within a week."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.sites import claim_site

    with reporting(as_json=as_json):
        claimed = claim_site(open_deployment(load_settings()), certificate, domain, actor=actor, reason=reason)
    if as_json:
        print_json(claimed.as_json())
    else:
        stdout.print(printable(f"{claimed.state}: put this line into {claimed.url}"))
        stdout.print(printable(claimed.line))


@app.command(epilog="Example: sigma operator site check cert_…")
def check(certificate: Certificate, as_json: Json = False) -> None:
    """Look for the line on the claimed domain now. Exit code 1 when it is not there. An hourly job does so, too, once a day."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.sites import check_site

    with reporting(as_json=as_json):
        checked = check_site(open_deployment(load_settings()), certificate)
    if as_json:
        print_json(checked.as_json())
    else:
        stdout.print(printable(f"{checked.domain}: {checked.state}{f', {checked.fault}' if checked.fault else ''}"))
    raise typer.Exit(ExitCode.OK if checked.fault is None and checked.state == "VERIFIED" else ExitCode.NEGATIVE)


@app.command(epilog="Example: sigma operator site withdraw cert_… --reason 'the domain was sold'")
def withdraw(certificate: Certificate, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """Forget the claim, and show no site any more."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.sites import withdraw_site

    with reporting(as_json=as_json):
        withdraw_site(open_deployment(load_settings()), certificate, actor=actor, reason=reason)
    if as_json:
        print_json({"certificateId": certificate, "site": None})
    else:
        stdout.print("withdrawn")
