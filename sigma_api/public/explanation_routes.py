"""What the codes in certificates, findings and errors mean."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request, Response

from sigma_api.caching import Answer
from sigma_api.problems import ProblemError
from sigma_api.public import schemas
from sigma_api.public.parameters import OF_ONE, PREFIX
from sigma_api.public.snapshot import Kept, keep
from sigma_core.certificates.explanations import explain
from sigma_core.sandbox.rules import load_rules

router = APIRouter(prefix=PREFIX, tags=["public"])


@router.get(
    "/explanations/{code}",
    operation_id="explainCode",
    summary="What a code means",
    response_model=schemas.Explanations,
    responses=OF_ONE,
)
def explain_code(
    request: Request,
    code: Annotated[
        str,
        Path(
            pattern=schemas.CODE_PATTERN,
            description="Id of a rule, category of a finding, status or level of a certificate, or code of an error.",
            examples=["SIGMA-THREAT-001"],
        ),
    ],
) -> Response:
    """Every meaning of the code, from the rule book, the refusals of verification and the rules of intake."""
    found = explain(code, load_rules())
    if not found:
        raise ProblemError("not-found", "SIGMA uses no such code.")
    return keep(request, Kept(Answer.of(orjson.dumps({"meanings": [each.as_json() for each in found]}))))
