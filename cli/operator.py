"""``sigma operator``: what only the people who run a deployment do. Each change has an actor and a reason, which everybody will read."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import models, sites
from cli.output import print_json, printable, refuse_missing_folder, reporting, stdout
from sigma_core.config import load_settings
from sigma_core.errors import ExitCode

if TYPE_CHECKING:
    from sigma_core.deployment import Deployment
    from sigma_core.lifecycle.round_requests import RoundRequest
    from sigma_core.lifecycle.sanctions import Measure

app = typer.Typer(
    help="Operate a deployment: rounds, validators, language models, status of certificates, keys, transparency log.",
    no_args_is_help=True,
)

RoundId = Annotated[str, typer.Argument(metavar="ROUND", help="A round id.", show_default=False)]
Validator = Annotated[str, typer.Argument(metavar="VALIDATOR", help="A validator id.", show_default=False)]
app.add_typer(sites.app, name="site")
app.add_typer(models.app, name="models")

Certificate = Annotated[str, typer.Argument(metavar="ID", help="A certificate id.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why. Public, on record.", show_default=False)]
Actor = Annotated[
    str, typer.Option(help="Who. Public, on record.", default_factory=lambda: f"operator:{getpass.getuser()}")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


@app.command(
    epilog="Example: sigma operator resolve rnd_01kb8c0z3v…_r1 --truth SAFE --reason 'the host is a test fixture'"
)
def resolve(
    round_id: RoundId,
    truth: Annotated[Literal["SAFE", "UNSAFE"], typer.Option(help="What the package really was.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Say what the package of a decided round was, so that its votes are scored. Said again otherwise, it is a correction."""
    from sigma_core.audit.model import Verdict
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.resolution import resolve_round

    with reporting(as_json=as_json):
        deployment = open_deployment(load_settings())
        known = resolve_round(deployment, round_id, Verdict(truth), actor=actor, reason=reason)
    verb = "corrected to" if known.number else "resolved as"
    _tell(
        {"roundId": known.round_id, **known.as_json()},
        f"{known.round_id}: {verb} {known.truth}; its outcome stays, and the ledgers follow with the next standing run",
        as_json=as_json,
    )


@app.command(
    epilog="Example: sigma operator override rnd_01kb8c0z3v…_r1 --outcome REJECTED --reason 'same author as cert_…'"
)
def override(
    round_id: RoundId,
    outcome: Annotated[
        Literal["APPROVED", "REJECTED"], typer.Option(help="What to decide instead.", show_default=False)
    ],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Decide a case otherwise than its round did. REJECTED revokes its certificate; APPROVED, for a split vote only, issues none."""
    from sigma_core.assembly.consensus import RoundOutcome
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.override import override_round

    with reporting(as_json=as_json):
        deployment = open_deployment(load_settings())
        decided = override_round(deployment, round_id, RoundOutcome(outcome), actor=actor, reason=reason)
    _tell(
        {"roundId": decided.round_id, **decided.as_json()},
        f"{decided.round_id}: overridden to {decided.outcome}, shown beside its outcome",
        as_json=as_json,
    )


@app.command(
    epilog="Example: sigma operator sanction val_… --cap-ppm 200000 --reason 'shared its verdicts before the reveal'"
)
def sanction(
    validator: Validator,
    cap_ppm: Annotated[int, typer.Option(min=0, max=999_999, help="The most that its reputation may be, in ppm.")],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Hold a validator's reputation down until the sanction is lifted."""
    from sigma_core.lifecycle.sanctions import sanction_validator

    _measure(
        lambda deployment: sanction_validator(deployment, validator, cap_ppm, actor=actor, reason=reason),
        as_json=as_json,
    )


@app.command("lift-sanctions", epilog="Example: sigma operator lift-sanctions val_… --reason 'served'")
def lift_sanctions(validator: Validator, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """End all sanctions of a validator. Its reputation is earned back from where it is."""
    from sigma_core.lifecycle.sanctions import lift_validator_sanctions

    _measure(
        lambda deployment: lift_validator_sanctions(deployment, validator, actor=actor, reason=reason), as_json=as_json
    )


@app.command("suspend-validator", epilog="Example: sigma operator suspend-validator val_… --reason 'key compromised'")
def suspend_validator(validator: Validator, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """Take all weight from a validator, from the next epoch on, which is published at once."""
    from sigma_core.lifecycle import sanctions

    _measure(
        lambda deployment: sanctions.suspend_validator(deployment, validator, actor=actor, reason=reason),
        as_json=as_json,
    )


@app.command("reinstate-validator", epilog="Example: sigma operator reinstate-validator val_… --reason 'new key'")
def reinstate_validator(validator: Validator, reason: Reason, actor: Actor, as_json: Json = False) -> None:
    """End a validator's suspension."""
    from sigma_core.lifecycle import sanctions

    _measure(
        lambda deployment: sanctions.reinstate_validator(deployment, validator, actor=actor, reason=reason),
        as_json=as_json,
    )


def _measure(take: Callable[[Deployment], Measure], *, as_json: bool) -> None:
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json):
        taken = take(open_deployment(load_settings()))
    [(name, before)], after = taken.before.items(), taken.after
    _tell(
        taken.as_json(),
        f"{taken.validator_id}: {name} {before} → {after[name]}, weights epoch {taken.weights_epoch}",
        as_json=as_json,
    )


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
    _tell(request.as_json(), _asked(request, f"re-audit of {request.submission_id}"), as_json=as_json)


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
    _tell(request.as_json(), _asked(request, f"appeal of {request.appeal_of}"), as_json=as_json)


def _asked(request: RoundRequest, what: str) -> str:
    held = f"its round is {request.round_id}" if request.round_id else "the daemon of `sigma up` holds it"
    return f"request {request.id}: {what}; {held} (`sigma status {request.submission_id}`)"


@app.command("replace-seat", epilog="Example: sigma operator replace-seat rnd_…_r1 3 --reason 'its engine hangs'")
def replace(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="A round with an open phase.", show_default=False)],
    seat: Annotated[int, typer.Argument(min=1, help="Number of a seat that has not voted.", show_default=False)],
    reason: Reason,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Take the holder off a seat of the phase that goes on; the seat is redrawn. `sigma status SUBMISSION` lists the seats."""
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.lifecycle.seat_replacement import replace_seat

    with reporting(as_json=as_json):
        removal = replace_seat(open_deployment(load_settings()), round_id, seat, actor=actor, reason=reason)
    text = f"{removal.round_id}: {removal.validator_id} is off seat {removal.seat} of phase {removal.phase}, redrawn when it goes on"
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


@app.command("rotate-log-key", epilog="Example: sigma operator rotate-log-key --reason 'yearly rotation'")
def rotate_log_key(
    reason: Reason,
    actor: Actor,
    overlap_days: Annotated[
        int, typer.Option(min=0, max=90, help="For so long the old key signs checkpoints too; 0 is a minute.")
    ] = 7,
    as_json: Json = False,
) -> None:
    """Publish a new key of the transparency log. For some days both keys sign, so that monitors can fetch the new one."""
    from sigma_core.lifecycle.key_rotation import rotate_log_key as rotate
    from sigma_core.lifecycle.opening import open_deployment

    with reporting(as_json=as_json):
        deployment = open_deployment(load_settings())
        rotation = rotate(deployment, actor=actor, reason=reason, overlap=timedelta(days=overlap_days))
        logs = [key.as_json() for key in deployment.trusted_keys.log_keys(rotation.key.name)]
    document = {
        "key": rotation.key.encode(),
        "logs": logs,
        "keySetSha256": rotation.key_set_sha256,
        "logIndex": rotation.log_index,
    }
    _tell(document, f"{rotation.key.encode()} signs checkpoints from now on", as_json=as_json)


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
