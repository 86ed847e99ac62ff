"""Structured logs: JSON lines on stdout for machines, a console form for people. Never a secret or a signed URL."""

import logging
import sys

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from shared import trace
from shared.env import Env


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: str = "info"
    format: str = "json"

    @classmethod
    def from_env(cls, env: Env) -> "LogSettings":
        levels = ("debug", "info", "warning", "error")
        return cls(
            level=env.choice("TRIPOD_LOG_LEVEL", "info", levels),
            format=env.choice("TRIPOD_LOG_FORMAT", "json", ("json", "console")),
        )


def configure(settings: LogSettings, service: str) -> None:
    """Set up the logs of this process, those of libraries included."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _add_trace,
    ]
    renderer: structlog.typing.Processor
    if settings.format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            # The default shows local variables, and with them settings and their secrets.
            exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
        chain.append(structlog.processors.format_exc_info)
    structlog.configure(
        # Not by way of the standard library's loggers, which would cost twice as much per line.
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries tell whole requests at debug, tokens included: they never go below info, some not below warning.
    root.setLevel(max(level, logging.INFO))
    for chatty in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "websockets",
        "nats",
        "aiohttp.access",
        "urllib3",
    ):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    current = trace.current()
    if current is not None:
        event.setdefault("trace_id", current.trace_id)
    return event


def _add_service(service: str) -> structlog.typing.Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add


def _to_json(event: EventDict, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
