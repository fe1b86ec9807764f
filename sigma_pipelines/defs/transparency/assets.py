"""What anyone can check without asking: the transparency log's static files, the status lists, and the sites of publishers."""

import dagster as dg

from sigma_core.certificates.status_list import PURPOSES
from sigma_core.lifecycle.sites import check_due_sites
from sigma_core.lifecycle.status_lists import publish_status_lists
from sigma_core.lifecycle.transparency import newest_checkpoint, publish_log
from sigma_pipelines.defs.rounds.assets import certificate
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment

OWNER = "team:protocol"
GROUP = "transparency"


@dg.asset(
    deps=[certificate],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python"},
    description="The transparency log in C2SP tlog-tiles form: every certificate, change of status and key set as an entry, "
    "tiles as static files, and a signed checkpoint. Certificates publish it as they are issued; this finishes what was cut short.",
)
def transparency_log(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    deployment = sigma.open()
    checkpoint = publish_log(deployment)
    newest = newest_checkpoint(deployment)
    return dg.MaterializeResult(
        metadata={
            "entries": checkpoint.size,
            "root": checkpoint.root.hex(),
            "origin": checkpoint.origin,
            "checkpoint": dg.MetadataValue.md(f"```\n{newest.note.decode() if newest else ''}```"),
            "folder": dg.MetadataValue.path(str(deployment.settings.transparency_log)),
        }
    )


@dg.asset(
    deps=[transparency_log],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python"},
    description="Bitstring Status Lists (W3C): one bit for each certificate that is suspended, one for each that is revoked, "
    "signed and good for a day. Written when a bit changes or half their time is over.",
)
def status_lists(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    deployment = sigma.open()
    written = publish_status_lists(deployment)
    return dg.MaterializeResult(
        metadata={
            "lists_written": len(written),
            "written": table(
                ("list", "purpose", "entries set", "good until"),
                (
                    (
                        listed.uri,
                        PURPOSES[listed.status],
                        int.from_bytes(listed.bits, "big").bit_count(),
                        listed.valid_until,
                    )
                    for listed in written
                ),
            ),
            "folder": dg.MetadataValue.path(str(deployment.settings.status_lists)),
        }
    )


@dg.asset(
    deps=[certificate],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python"},
    description="Domains that publishers claim: each is asked once a day, over https and at public addresses only, whether it shows its "
    "publisher's token. One that does not for a month is no longer shown with its certificates.",
)
def publisher_sites(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    checked = check_due_sites(sigma.open())
    return dg.MaterializeResult(
        metadata={
            "checked": len(checked),
            "sites": table(
                ("submission", "domain", "state", "fault", "counts until"),
                (
                    (each.submission_id, each.domain, each.state.value, each.fault or "", each.valid_until)
                    for each in checked
                ),
            ),
        }
    )


TRANSPARENCY_ASSETS = [transparency_log, status_lists, publisher_sites]
"""In order."""
