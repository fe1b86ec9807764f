"""A Dagster logger that tells a terminal which stage of a run is under way."""

import logging
from collections.abc import Callable

import dagster as dg

PROGRESS_LOGGER = "sigma.progress"


class _StageHandler(logging.Handler):
    """Calls back with the stage's name when a step starts; everything else that Dagster logs is left out."""

    def __init__(self, on_stage: Callable[[str], None]) -> None:
        super().__init__()
        self._on_stage = on_stage

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is not None and event.event_type_value == "STEP_START":
            self._on_stage(event.step_key)


def on_stage(callback: Callable[[str], None]) -> None:
    """Have ``callback`` called with each step's name in runs that use the ``progress`` logger."""
    logger = logging.getLogger(PROGRESS_LOGGER)
    logger.handlers = [_StageHandler(callback)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)


@dg.logger(None, "Stages as they start, for a terminal; no other output.")
def progress_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """The logger that `on_stage` has set up; silent when nothing has."""
    logger = logging.getLogger(PROGRESS_LOGGER)
    logger.propagate = False
    return logger
