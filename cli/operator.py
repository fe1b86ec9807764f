"""``sigma operator``: what only the people who run a deployment do. Each change has an actor and a reason, which everybody will read."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import print_json, printable, refuse_missing_folder, reporting, stdout
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode

app = typer.Typer(help="Operate a deployment: certificates, rounds, keys, transparency log.", no_args_is_help=True)

Certificate = Annotated[str, typer.Argument(metavar="ID", help="A certificate id.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why. Public, in the log.", show_default=False)]
Actor = Annotated[
    str, typer.Option(help="Who. Public, in the log.", default_factory=lambda: f"operator:{getpass.getuser()}")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command(epilog="Example: sigma operator suspend cert_… --reason 'contacts an undeclared host'")
def suspend(certificate: Certificate, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """Suspend a certificate until somebody has looked into something."""
    _change(certificate, "SUSPENDED", reason, actor, as_json=as_json)


@app.command(epilog="Example: sigma operator resume cert_… --reason 'the host is declared now'")
def resume(certificate: Certificate, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """End a suspension. What monitoring suspended takes a full round first."""
    _change(certificate, "APPROVED", reason, actor, as_json=as_json)


@app.command(epilog="Example: sigma operator revoke cert_… --reason 'steals credentials'")
def revoke(certificate: Certificate, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """Withdraw a certificate for good."""
    _change(certificate, "REVOKED", reason, actor, as_json=as_json)


def _change(certificate: str, status: str, reason: str, actor: str, *, as_json: bool) -> None:
    from sigma_core.certificates.vocabulary import CertificateStatus
    from sigma_core.lifecycle.certificate_status import change_status
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json):
        change = change_status(
            open_deployment(load_settings()), certificate, CertificateStatus(status), actor=actor, reason=reason
        )
    _tell(
        change.as_json(),
        f"{change.certificate_id}: {change.before} → {change.after}, entry {change.log_index} of the log",
        as_json=as_json,
    )


@app.command(
    "re-audit", epilog="Example: sigma operator re-audit cert_… --reason 'the host it calls has changed hands'"
)
def re_audit(
    subject: Annotated[str, typer.Argument(metavar="CERTIFICATE|SUBMISSION", help="An id.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Ask for another round on a submission. The daemon holds it; `sigma status` shows it."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.round_requests import request_re_audit

    with reporting(as_json=as_json):
        request = request_re_audit(open_deployment(load_settings()), subject, actor=actor, reason=reason)
    _tell(request.as_json(), f"request {request.id}: re-audit of {request.submission_id}", as_json=as_json)


@app.command(epilog="Example: sigma operator appeal rnd_…_r1 --reason 'the flagged line is a test fixture'")
def appeal(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="A decided round.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Ask for the appeal of a round: panels of 2n+1 fresh seats, once. The daemon holds it."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.round_requests import request_appeal

    with reporting(as_json=as_json):
        request = request_appeal(open_deployment(load_settings()), round_id, actor=actor, reason=reason)
    _tell(request.as_json(), f"request {request.id}: appeal of {request.appeal_of}", as_json=as_json)


@app.command("replace-seat", epilog="Example: sigma operator replace-seat rnd_…_r1 3 --reason 'its engine hangs'")
def replace(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="A round with an open phase.", show_default=False)],
    seat: Annotated[int, typer.Argument(min=1, help="Number of a seat that has not voted.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Take the holder off a seat of the phase that goes on; the seat is redrawn."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.seat_replacement import replace_seat

    with reporting(as_json=as_json):
        removal = replace_seat(open_deployment(load_settings()), round_id, seat, actor=actor, reason=reason)
    text = f"{removal.round_id}: {removal.validator_id} is off seat {removal.seat} of phase {removal.phase}"
    _tell(removal.as_json(), text, as_json=as_json)


@app.command("rotate-key", epilog="Example: sigma operator rotate-key --reason 'yearly rotation'")
def rotate_key(reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """Publish a new certificate key that takes over in a minute. What the old one signed stays good."""
    from sigma_core.lifecycle.key_rotation import rotate_certificate_key
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json):
        rotation = rotate_certificate_key(open_deployment(load_settings()), actor=actor, reason=reason)
    key = rotation.key.as_json()
    document = {
        "key": key,
        "keySetSha256": rotation.key_set_sha256,
        "logIndex": rotation.log_index,
    }
    _tell(document, f"{rotation.key.key_id} takes over at {key['validFrom']}", as_json=as_json)


@app.command("check-log", epilog="Example: sigma operator check-log --json")
def check_log(as_json: Json = False) -> None:
    """Publish what is due, then recompute the whole log, every checkpoint, and the status lists. Exit code 1 when anything differs."""
    from sigma_core.lifecycle.log_audit import audit_log, status_list_faults
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.status_lists import publish_status_lists
    from sigma_core.lifecycle.transparency import publish_log

    with reporting(as_json=as_json):
        deployment = open_deployment(load_settings())
        publish_log(deployment)
        publish_status_lists(deployment)
        audited = audit_log(deployment)
        faults = [*audited.faults, *status_list_faults(deployment)]
    found = {
        "size": audited.size,
        "checkpoints": audited.checkpoints,
        "certificates": audited.certificates,
        "faults": faults,
    }
    lines = [f"{audited.size} entries, {audited.checkpoints} checkpoints, {audited.certificates} certificates", *faults]
    _tell(found, "\n".join(lines), as_json=as_json)
    raise typer.Exit(ExitCode.NEGATIVE if faults else ExitCode.OK)


@app.command("ask-witness", epilog="Example: sigma operator ask-witness --known 120 --out request.txt")
def ask_witness(
    out: Annotated[Path, typer.Option(help="Write the request to this file.", show_default=False)],
    known: Annotated[int, typer.Option(min=0, help="How many entries the witness knows.")] = 0,
) -> None:
    """Write the newest checkpoint with its consistency proof, as a witness takes it (c2sp.org/tlog-witness)."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.transparency import request_for_witness
    from sigma_core.storage.files import write_whole

    with reporting(as_json=False):
        refuse_missing_folder(out, "--out")
        write_whole(out, request_for_witness(open_deployment(load_settings()), known))


@app.command("add-cosignature", epilog="Example: sigma operator add-cosignature 120 answer.txt")
def add_cosignature(
    size: Annotated[int, typer.Argument(min=1, help="Entries of the checkpoint that was cosigned.")],
    answer: Annotated[Path, typer.Argument(help="The witness's answer: its signature lines.", exists=True)],
    as_json: Json = False,
) -> None:
    """Keep a witness's cosignature with its checkpoint. The witness's key must be in the key set."""
    from sigma_core.certificates.log.note import MAX_NOTE_BYTES
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.transparency import keep_cosignatures

    with reporting(as_json=as_json), answer.open("rb") as file:
        row = keep_cosignatures(open_deployment(load_settings()), size, file.read(MAX_NOTE_BYTES))
    _tell({"size": row.size, "note": row.note.decode()}, row.note.decode(), as_json=as_json)


def _tell(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        for line in text.splitlines():
            stdout.print(printable(line))
