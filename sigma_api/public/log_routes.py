"""What a verifier fetches beside a certificate: the transparency log's files, the status lists, the key set; as they were published.

The log is served in the form c2sp.org/tlog-tiles under its own origin, so any client of that form can read it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from sigma_api.caching import CACHE_CONTROL, FRESH_CACHE_CONTROL, IMMUTABLE_CACHE_CONTROL, JSON, cacheable
from sigma_api.problems import ProblemError
from sigma_api.public.parameters import OF_ONE, PREFIX, OpenDeployment
from sigma_core.canonical import MAX_SAFE_INTEGER
from sigma_core.certificates.log.folder import CHECKPOINT
from sigma_core.certificates.status_list import MEDIA_TYPE as STATUS_LIST_MEDIA_TYPE
from sigma_core.certificates.status_list import PURPOSES
from sigma_core.lifecycle.status_lists import published_list
from sigma_core.lifecycle.transparency import newest_checkpoint, prove, published_file

NOTE = "text/plain; charset=utf-8"
TILE = "application/octet-stream"

router = APIRouter(prefix=PREFIX, tags=["public"])


def _served_as(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    schemas = {
        NOTE: {"type": "string"},
        TILE: {"type": "string", "format": "binary"},
        STATUS_LIST_MEDIA_TYPE: {"$ref": "#/components/schemas/AttestationEnvelope"},
    }
    return {200: {"description": description, "content": {media_type: {"schema": schemas[media_type]}}}}


@router.get(
    "/log/checkpoint",
    operation_id="getLogCheckpoint",
    summary="The newest checkpoint of the transparency log",
    response_class=Response,
    responses=OF_ONE | _served_as(NOTE, "A signed note (c2sp.org/tlog-checkpoint)."),
)
def get_checkpoint(request: Request, deployment: OpenDeployment) -> Response:
    """Size and root of the log, signed by its key and by the witnesses that have seen it."""
    note = published_file(deployment, CHECKPOINT)
    if note is None:
        raise ProblemError("not-found", "The log has no checkpoint yet: nothing has been certified.")
    return cacheable(request, note, NOTE, FRESH_CACHE_CONTROL)


@router.get(
    "/log/tile/{tile:path}",
    operation_id="getLogTile",
    summary="A tile of the transparency log",
    response_class=Response,
    responses=OF_ONE | _served_as(TILE, "Hashes of the tree, or the entries under them."),
)
def get_tile(
    request: Request,
    deployment: OpenDeployment,
    tile: Annotated[
        str, Path(description="`<level>/<index>` or `entries/<index>`, with `.p/<width>` where it is not full.")
    ],
) -> Response:
    """A file of the form c2sp.org/tlog-tiles. A full tile never changes and may be kept for ever."""
    content = published_file(deployment, f"tile/{tile}")
    if content is None:
        raise ProblemError("not-found", "The log has no such tile; a tile that has become full is not kept in part.")
    return cacheable(request, content, TILE, CACHE_CONTROL if ".p/" in tile else IMMUTABLE_CACHE_CONTROL)


@router.get(
    "/log/proof/{index}",
    operation_id="getLogProof",
    summary="Proof that an entry is in the transparency log",
    response_class=Response,
    responses=OF_ONE | _served_as(NOTE, "Inclusion proof with checkpoint (c2sp.org/tlog-proof@v1)."),
)
def get_proof(
    request: Request,
    deployment: OpenDeployment,
    index: Annotated[int, Path(ge=0, le=MAX_SAFE_INTEGER, description="Index of the entry.")],
) -> Response:
    """Entry `index` under the newest checkpoint. A certificate's bundle carries such a proof already."""
    newest = newest_checkpoint(deployment)
    if newest is None or index >= newest.size:
        raise ProblemError("not-found", "No checkpoint of the log covers an entry of this index.")
    proof = prove(deployment, index)
    return cacheable(request, proof.to_text().encode(), NOTE, FRESH_CACHE_CONTROL)


@router.get(
    "/status-lists/{number}/{purpose}",
    operation_id="getStatusList",
    summary="Which certificates are suspended or revoked",
    response_class=Response,
    responses=OF_ONE | _served_as(STATUS_LIST_MEDIA_TYPE, "A signed Bitstring Status List."),
)
def get_status_list(
    request: Request,
    deployment: OpenDeployment,
    number: Annotated[int, Path(ge=0, le=MAX_SAFE_INTEGER, description="Number of the list.")],
    purpose: Annotated[str, Path(description=" or ".join(f"`{name}`" for name in sorted(PURPOSES.values())))],
) -> Response:
    """The list as it was signed; a certificate's `statusList` names it and the entry. It says itself how long it is good for."""
    content = published_list(deployment, number, purpose)
    if content is None:
        raise ProblemError("not-found", "No status list has this number and purpose.")
    return cacheable(request, content, STATUS_LIST_MEDIA_TYPE, FRESH_CACHE_CONTROL)


@router.get(
    "/key-set",
    operation_id="getKeySet",
    summary="The keys that certificates are verified with",
    response_model=dict[str, Any],
    responses=OF_ONE,
)
def get_key_set(request: Request, deployment: OpenDeployment) -> Response:
    """Every key that has signed certificates, with the time in which it did, and the log's. Pin it: `sigma verify --keys FILE`."""
    return cacheable(request, deployment.trusted_keys.to_bytes(), JSON, FRESH_CACHE_CONTROL)
