"""Log lines: key=value for people at a terminal, JSON for machines; always on standard error."""

import logging
import sys

import structlog
from structlog.typing import Processor


def configure(level_name: str = "info") -> None:
    """Set up logging for this process."""
    level = logging.getLevelNamesMapping()[level_name.upper()]
    machine = not sys.stderr.isatty()
    renderer: Processor = (
        structlog.processors.JSONRenderer() if machine else structlog.dev.ConsoleRenderer()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # It warns of each request that it cannot read, which any client may send without end; they are
    # counted as `http.refused`.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
