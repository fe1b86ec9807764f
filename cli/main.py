"""The commands of ``sigma``. Each is thin: it reads its arguments, calls ``sigma_core``, and prints.

Heavy libraries are imported by the commands that need them, so that ``verify`` and ``--help`` stay quick.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import operator
from cli.output import print_json, printable, refuse_missing_folder, reporting, stderr, stdout
from sigma_core import __version__
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.policy import load_policy

app = typer.Typer(
    name="sigma",
    help="Verification and certificates for what AI agents install and call.\n\n"
    "SIGMA is a verification product, not a proof that no vulnerability exists.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(operator.app, name="operator")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
PackagePath = Annotated[
    Path, typer.Argument(help="A skill or API package: a folder, a zip or a tar.", show_default=False)
]
BundleFolders = Annotated[
    list[Path] | None, typer.Option(metavar="DIR", help="Also look for bundles (*.sigma.json) in this folder.")
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


@app.command(
    epilog="Example: sigma validate ./my-skill --sarif findings.sarif\n\nsigma validate --each ./skills --jsonl --jobs 2"
)
def validate(
    path: Annotated[
        Path | None,
        typer.Argument(help="A skill or API package: a folder, a zip or a tar.", show_default=False),
    ] = None,
    each: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead of PATH: every folder and archive directly in DIR."),
    ] = None,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="With --each: a line of JSON for each package.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="With --each: processes to use.")] = 1,
    limits: Annotated[
        Literal["policy", "open"], typer.Option(help="'open' takes packages of up to 5,000 files and 50 MiB.")
    ] = "policy",
    suppressions: Annotated[
        Path | None,
        typer.Option(help="Findings that you have looked at and accept (TOML). Default: SIGMA_SUPPRESSIONS."),
    ] = None,
    facts: Annotated[Path | None, typer.Option(help="Write the facts document to this file, as it is hashed.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write the facts as SARIF 2.1.0 to this file.")] = None,
    sbom: Annotated[Path | None, typer.Option(help="Write a bill of materials (CycloneDX 1.6) to this file.")] = None,
    yara: Annotated[
        list[Path] | None, typer.Option(help="Also match this YARA-X rule file or folder of them, as evidence.")
    ] = None,
    import_sarif: Annotated[
        list[Path] | None, typer.Option(help="Also show what another scanner's SARIF says, as evidence.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Dry run: intake and sandbox only. Nothing is recorded.

    Exit code 0 when nothing blocks, 1 when a certificate would be impossible, 2 for wrong use, 3 when SIGMA itself failed on a
    package of --each.
    """
    outputs = {"--facts": facts, "--sarif": sarif, "--sbom": sbom}
    with reporting(as_json=as_json):
        settings = load_settings()
        policy = load_policy(settings.policy_file)
        if (path is None) == (each is None):
            raise SigmaError("name either a PATH or --each DIR", code="USAGE")
        if each is None and (as_jsonl or jobs > 1):
            raise SigmaError("--jsonl and --jobs go with --each", code="USAGE")
        if each is not None and (as_json or yara or import_sarif or any(outputs.values())):
            raise SigmaError("--each goes with --jsonl, --jobs, --limits and --suppressions only", code="USAGE")
        for option, file in outputs.items():
            refuse_missing_folder(file, option)
        from cli.validate import Outputs, check, load_suppressions, package_limits, write_outputs
        from sigma_core.sandbox.dry_run import report

        package_bounds = package_limits(policy, limits)
        suppressions = suppressions or settings.suppressions
        if each is not None:
            from cli.batch import Terms, packages_in, run_batch

            paths = packages_in(each)
            terms = Terms(policy, package_bounds, load_suppressions(suppressions, paths))
            raise typer.Exit(run_batch(paths, terms, jobs=jobs, as_jsonl=as_jsonl))
        assert path is not None
        checked = check(
            path,
            policy,
            package_bounds,
            suppressions=load_suppressions(suppressions, [path]),
            yara=yara or (),
            foreign_sarif=import_sarif or (),
        )
        write_outputs(checked, Outputs(facts, sarif, sbom))
    if as_json:
        print_json(report(checked))
    else:
        from cli.dry_run_report import print_dry_run

        print_dry_run(checked)
    raise typer.Exit(ExitCode.NEGATIVE if checked.view.decision == "block" else ExitCode.OK)


@app.command(epilog="Example: sigma rules SIGMA-THREAT-001\n\nsigma rules exfiltration critical")
def rules(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID|WORD]...", help="A rule's id, or words that all occur in it.", show_default=False),
    ] = None,
    as_page: Annotated[
        bool, typer.Option("--page", help="Print the whole catalogue as Markdown (docs/rules.md).")
    ] = False,
    as_json: Json = False,
) -> None:
    """The rules of the sandbox: what each reports, why it matters, how to fix it, with samples."""
    from cli.rules import chosen_rules, print_rules
    from sigma_core.sandbox.catalogue import page, rule_json
    from sigma_core.sandbox.rules import load_rules

    with reporting(as_json=as_json):
        if as_page and (words or as_json):
            raise SigmaError("--page is the whole catalogue: no words, no --json", code="USAGE")
        book = load_rules()
        chosen = chosen_rules(book, words or [])
    if as_page:
        sys.stdout.write(page(book))
    elif as_json:
        print_json({"rulePackHash": book.sha256, "rules": [rule_json(rule) for rule in chosen]})
    else:
        print_rules(chosen)


@app.command(epilog="Example: sigma submit ./my-skill && sigma up")
def submit(
    path: PackagePath,
    notes: Annotated[str, typer.Option(help="Notes for the people who read the certificate.")] = "",
    conflict: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPERATOR",
            help="An operator of validators with an interest in the package: none of its own will judge it.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record a package for the running deployment (`sigma up`), whose daemon will audit it."""
    from cli.audit import submit_package

    with reporting(as_json=as_json):
        submission_id = submit_package(load_settings(), path, notes, conflict or ())
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
            export_bundle(found.data, out)
    if as_json:
        print_json(dict(found.payload.document))
    else:
        print_payload(dict(found.payload.document), found.payload.hash)


@app.command(
    epilog="Example: sigma verify changelog-writer.sigma.json --package ./changelog-writer\n\n"
    "sigma verify ~/.claude/skills/changelog-writer --bundles ./certificates --keys issuer.json"
)
def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE|DIR|ID|URL",
            help="A bundle file, an installed skill's folder, a certificate id of this deployment, or a bundle's https address.",
            show_default=False,
        ),
    ],
    package: Annotated[
        Path | None, typer.Option(help="Also hold this package against the certificate, file by file.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Trusted public keys (JSON). Default: this deployment's own.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Verify as of this instant, ISO 8601 UTC. Default: now.")] = None,
    bundles: BundleFolders = None,
    status: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="The issuer's status lists (both). Default: those here.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A checkpoint of the log that you got elsewhere: it must tell the same history."
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A copy of the log's files: shows whether checkpoints of different sizes tell one history.",
        ),
    ] = None,
    online: Annotated[bool, typer.Option(help="Fetch the status lists that the certificate names.")] = False,
    allow_loopback: Annotated[
        bool, typer.Option(help="This machine may be asked, over http too: at the URL given and at SIGMA_PUBLIC_URL.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify a certificate. Offline, unless the target is a URL or --online is given.

    Exit code 0 when it holds, 1 when it does not, with the refusal, 2 for wrong use, 3 when something cannot be reached.
    """
    from cli.certificates import Evidence, verify_target
    from cli.render import print_verified

    with reporting(as_json=as_json):
        evidence = Evidence(
            keys=keys,
            status=status or (),
            checkpoints=checkpoint or (),
            log=log,
            bundles=bundles or (),
            online=online,
            loopback=allow_loopback,
        )
        verified = verify_target(load_settings(), target, package=package, at=_instant(at), evidence=evidence)
    if as_json:
        print_json(verified)
    else:
        print_verified(verified)


@app.command(
    "scan-installed", epilog="Example: sigma scan-installed\n\nsigma scan-installed ./skills --bundles ./certificates"
)
def scan_installed(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Default: where agents keep skills, for you and in this project."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Trusted public keys (JSON). Default: this deployment's own.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="As of this instant, ISO 8601 UTC. Default: now.")] = None,
    bundles: BundleFolders = None,
    as_json: Json = False,
) -> None:
    """Every installed skill, with its state: certified, drifted (file by file), suspended, revoked, expired or without certificate.

    Offline. Exit code 0 when all are certified, 1 when any is not.
    """
    from cli.installed import print_installed, report, scan_installed

    with reporting(as_json=as_json):
        found = scan_installed(load_settings(), folder, keys=keys, bundles=bundles or (), at=_instant(at))
    if as_json:
        print_json(report(found))
    else:
        print_installed(found)
    raise typer.Exit(ExitCode.OK if all(skill.state == "CERTIFIED" for skill in found) else ExitCode.NEGATIVE)


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
    epoch: Annotated[
        Path | None,
        typer.Option(
            help="With FILE: the published snapshot of its weights epoch (GET /standing/epochs/N/snapshot); recomputes the weights too.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="With FILE: a bundle, whose words about the round are held against it.", exists=True, dir_okay=False
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Trusted public keys (JSON) for --certificate. Default: this deployment's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute a round from its public document: beacon, weights, panels, votes, consensus, points. Exit code 1 when anything differs."""
    from cli.replay import replay_round

    with reporting(as_json=as_json):
        refuse_missing_folder(out, "--out")
        result = replay_round(load_settings(), identifier, out=out, epoch=epoch, certificate=certificate, keys=keys)
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


@app.command(
    epilog="Example: sigma query 'SELECT validator_id, accuracy_ppm FROM validator_standing ORDER BY 2 DESC LIMIT 5'"
)
def query(
    sql: Annotated[
        str, typer.Argument(metavar="[SQL]", help="One SELECT. Without it: the tables there are.", show_default=False)
    ] = "",
    file: Annotated[Path | None, typer.Option(help="Read the query from this file.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="Rows at most.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Time at most.")] = 30,
    csv: Annotated[Path | None, typer.Option(help="Write the rows to this CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows to this Parquet file.")] = None,
    arrow: Annotated[Path | None, typer.Option(help="Write the rows to this Arrow IPC file.")] = None,
    as_json: Json = False,
) -> None:
    """SQL over this deployment's marts (docs/models.md). Read-only: a query reaches no file, no network, no setting."""
    from cli.query import Exports, listed_tables, print_answer, read_sql
    from cli.query import as_json as answer_json
    from dbt_like_sql.desk import query as ask

    exports = Exports(csv, parquet, arrow)
    with reporting(as_json=as_json):
        settings = load_settings()
        for option, path in (("--csv", csv), ("--parquet", parquet), ("--arrow", arrow)):
            refuse_missing_folder(path, option)
        if not sql and file is None:
            listed = listed_tables(settings)
        else:
            answer = ask(settings.lake, read_sql(sql, file), rows=limit, seconds=seconds)
            written = exports.write(answer.frame)
    if not sql and file is None:
        if as_json:
            print_json(listed)
        for table in [] if as_json else listed:
            stdout.print(f"[bold]{table['table']}[/]  {table['rows']} rows  [dim]{', '.join(table['columns'])}[/]")
    elif as_json:
        print_json(answer_json(answer))
    elif not written:
        print_answer(answer)
    elif answer.cut:
        stderr.print(f"[yellow]cut[/] after {limit} rows; raise --limit for more")


@app.command(epilog="Example: sigma simulate --against stricter.toml --seeds 5 --out comparison")
def simulate(
    population: Annotated[str, typer.Option(help="Synthetic population: designed or unseen.")] = "designed",
    submissions: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Packages; the population's own.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Number of runs.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first run; the next ones follow.")] = 0,
    policy: Annotated[Path | None, typer.Option(help="Policy (TOML). Default: this deployment's.")] = None,
    against: Annotated[Path | None, typer.Option(help="Another policy (TOML), to compare with.")] = None,
    clique_ppm: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Size of the sleeper clique.")] = None,
    attack_ppm: Annotated[int | None, typer.Option(min=0, max=1_000_000, help="Its part of the submissions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write report.md and its plots into this folder.")] = None,
    study: Annotated[
        bool, typer.Option("--study", help="With --out: the whole study of docs/simulation (minutes).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate standing: who ends up with how much weight, and which attacks are certified.

    Exit code 0 when every gate holds under every policy, 1 when one is missed.
    """
    from cli.simulate import as_json as trials_json
    from cli.simulate import named_policies, print_trials, run_trials, scenario_of
    from sigma_core.simulation.compare import failed_gates

    def progress(line: str) -> None:
        stderr.print(f"[dim]{printable(line)}[/]")

    with reporting(as_json=as_json):
        policies = named_policies(load_settings().policy_file, policy, against)
        scenario = scenario_of(population, submissions, clique_ppm, attack_ppm)
        if study and out is None:
            raise SigmaError("--study goes with --out FOLDER", code="USAGE")
        if out is not None:
            from sigma_core.simulation.plots import require_altair

            require_altair()
        if study and out is not None:
            from sigma_core.simulation.study import study as run_study

            stdout.print(str(run_study(policies[0][1], out, progress)))
            raise typer.Exit
        trials = run_trials(scenario, policies, range(first_seed, first_seed + seeds), progress)
        if out is not None:
            from sigma_core.simulation.report import comparison_report

            progress(f"written: {comparison_report(scenario, trials, out)}")
    if as_json:
        print_json(trials_json(scenario, trials))
    else:
        print_trials(scenario, trials)
    raise typer.Exit(ExitCode.NEGATIVE if any(failed_gates(of) for of in trials) else ExitCode.OK)


@app.command(epilog='Example: {"command": "sigma", "args": ["mcp"]} among the MCP servers of your agent')
def mcp() -> None:
    """MCP server over stdin and stdout: your agent may search, verify, compare and explain the certificates of this deployment.

    Read-only. A running deployment serves the same tools over HTTP at /mcp.
    """
    from cli.mcp import serve

    with reporting(as_json=False):
        serve(load_settings())


@app.command(epilog="Example: SIGMA_DAGSTER_PORT=9000 sigma up")
def up() -> None:
    """Start the API, the Dagster UI and the Dagster daemon; stop all three with Ctrl-C."""
    from cli.services import run_services
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=False):
        settings = load_settings()
        open_deployment(settings).close()
        run_services(settings, lambda line: stderr.print(printable(line)))
