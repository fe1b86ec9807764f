"""The commands of ``sigma``. Each is thin: it reads its arguments, calls ``sigma_core``, and prints.

Heavy libraries are imported by the commands that need them, so that ``verify`` and ``--help`` stay quick.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from cli.output import print_json, printable, refuse_missing_folder, reporting, stderr, stdout
from sigma_core import __version__
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode, SigmaError

app = typer.Typer(
    name="sigma",
    help="Verification and certificates for what AI agents install and call.\n\n"
    "SIGMA is a verification product, not a proof that no vulnerability exists.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
PackagePath = Annotated[
    Path, typer.Argument(help="A skill or API package: a folder, a zip or a tar.", show_default=False)
]


def run() -> None:
    """Entry point of the ``sigma`` script."""
    app(prog_name="sigma")


def _version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"sigma {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


@app.command(epilog="Example: sigma audit examples/changelog-writer --out changelog-writer.sigma.json")
def audit(
    path: PackagePath,
    out: Annotated[Path | None, typer.Option(help="Write the certificate's bundle to this file.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write the facts as SARIF 2.1.0 to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Run a whole round here: facts, two panels, consensus, certificate.

    Exit code 0 when a certificate was issued, 1 when not, 2 for wrong use, 3 when something needed is not available.
    """
    from cli.audit import audit_package
    from cli.render import print_report

    with reporting(as_json=as_json):
        refuse_missing_folder(out, "--out")
        refuse_missing_folder(sarif, "--sarif")
        report = audit_package(load_settings(), path, out=out, sarif=sarif)
    if as_json:
        print_json(report)
    else:
        print_report(report)
    raise typer.Exit(ExitCode.OK if report["outcome"] == "APPROVED" else ExitCode.NEGATIVE)


@app.command(epilog="Example: sigma validate ./my-skill --sarif findings.sarif")
def validate(
    path: PackagePath,
    sarif: Annotated[Path | None, typer.Option(help="Write the facts as SARIF 2.1.0 to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Dry run: intake and sandbox only. Nothing is recorded.

    Exit code 0 when nothing blocks, 1 when a certificate would be impossible.
    """
    from cli.audit import dry_run
    from cli.render import print_dry_run

    with reporting(as_json=as_json):
        refuse_missing_folder(sarif, "--sarif")
        result = dry_run(load_settings(), path, sarif=sarif)
    if as_json:
        print_json(result)
    else:
        print_dry_run(result)
    raise typer.Exit(ExitCode.OK if result["decision"] in ("allow", "warn") else ExitCode.NEGATIVE)


@app.command(epilog="Example: sigma submit ./my-skill && sigma up")
def submit(
    path: PackagePath,
    notes: Annotated[str, typer.Option(help="Notes for the people who read the certificate.")] = "",
    as_json: Json = False,
) -> None:
    """Record a package for the running deployment (`sigma up`), whose daemon will audit it."""
    from cli.audit import submit_package

    with reporting(as_json=as_json):
        submission_id = submit_package(load_settings(), path, notes)
    if as_json:
        print_json({"submissionId": submission_id, "state": "RECEIVED"})
    else:
        stdout.print(submission_id)
        stderr.print(f"Received. `sigma status {submission_id}` tells how it goes.")


@app.command(epilog="Example: sigma status sub_01kb8c0z3v…")
def status(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A submission id.")],
    as_json: Json = False,
) -> None:
    """Where a submission stands: its rounds, their outcomes, and what failed on the way."""
    from cli.render import print_status
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.report import submission_status

    with reporting(as_json=as_json):
        result = submission_status(open_deployment(), identifier)
    if as_json:
        print_json(result)
    else:
        print_status(result)


@app.command(epilog="Example: sigma certificate cert_01kb8c0z3v…_r1 --out bundle.json")
def certificate(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A certificate id, or a submission or round id that has one.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the bundle to this file instead of a summary.")] = None,
    as_json: Json = False,
) -> None:
    """A certificate of this deployment: its sealed payload, or its bundle with --out."""
    from cli.certificates import export_bundle, find_certificate
    from cli.render import print_payload

    with reporting(as_json=as_json):
        refuse_missing_folder(out, "--out")
        found = find_certificate(load_settings(), identifier)
        if out is not None:
            export_bundle(found.bundle, out)
    if as_json:
        print_json(found.payload)
    else:
        print_payload(found.payload, found.payload_hash)


@app.command(epilog="Example: sigma verify changelog-writer.sigma.json --package ./changelog-writer")
def verify(
    target: Annotated[str, typer.Argument(metavar="BUNDLE|ID", help="A bundle file, or the id of a certificate here.")],
    package: Annotated[
        Path | None, typer.Option(help="Also hold this package against the certificate, file by file.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Trusted public keys (JSON). Default: this deployment's own.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Verify as of this instant, ISO 8601 UTC. Default: now.")] = None,
    as_json: Json = False,
) -> None:
    """Verify a certificate offline: nothing is asked of any server.

    Exit code 0 when it holds, 1 when it does not, with the refusal.
    """
    from cli.certificates import verify_target
    from cli.render import print_verified

    with reporting(as_json=as_json):
        moment = _instant(at)
        verified = verify_target(load_settings(), target, package=package, keys=keys, at=moment)
    if as_json:
        print_json(verified)
    else:
        print_verified(verified)


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise SigmaError(f"--at: {text!r} is not a UTC time", code="USAGE", hint="write it like 2026-11-21T12:00:00Z")
    return moment.astimezone(UTC)


@app.command(epilog="Example: sigma replay rnd_01kb8c0z3v…_r1")
def replay(
    identifier: Annotated[
        str, typer.Argument(metavar="ROUND|FILE", help="A round id, a submission id, or a replay document.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the public replay document to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Recompute a round from its public document: beacon, panels, votes, consensus. Exit code 1 when anything differs."""
    from cli.replay import replay_round

    with reporting(as_json=as_json):
        refuse_missing_folder(out, "--out")
        result = replay_round(load_settings(), identifier, out=out)
    if as_json:
        print_json(result)
    elif result["agrees"]:
        stdout.print(
            f"[green]agrees[/] {printable(result['roundId'])}: seed, seats, votes and outcome recomputed bit for bit"
        )
        for line in result["unchecked"]:
            stdout.print(f"  [dim]not covered: {printable(line)}[/]")
    else:
        stdout.print(f"[red]differs[/] {printable(result['roundId'])}")
        for difference in result["differences"]:
            stdout.print(f"  {printable(difference)}")
    raise typer.Exit(ExitCode.OK if result["agrees"] else ExitCode.NEGATIVE)


@app.command(epilog="Example: SIGMA_DAGSTER_PORT=9000 sigma up")
def up() -> None:
    """Start the API, the Dagster UI and the Dagster daemon; stop all three with Ctrl-C."""
    from cli.services import run_services
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=False):
        settings = load_settings()
        open_deployment(settings).close()
        run_services(settings, lambda line: stderr.print(printable(line)))
