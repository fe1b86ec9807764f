"""Logs as one JSON object a line on standard error. Query strings and header values are never logged."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson

from sigma_core.timestamps import iso_utc

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered."""


class JsonFormatter(logging.Formatter):
    """``{time, level, logger, message, requestId, …}``; ``extra={"fields": {…}}`` of a call adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": iso_utc(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "requestId": request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(level: str) -> None:
    """Send the records of ``sigma_api`` and ``sigma_core`` from ``level`` up to standard error. Idempotent."""
    for name in ("sigma_api", "sigma_core"):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
            handler = logging.StreamHandler()
            handler.setFormatter(JsonFormatter())
            logger.addHandler(handler)
