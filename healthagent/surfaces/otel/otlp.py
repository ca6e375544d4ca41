"""Which OTLP exporters the variables ask for. This module imports OpenTelemetry."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import requests
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.util.re import parse_env_headers

from healthagent.surfaces.otel import variables
from healthagent.surfaces.otel.variables import Asked, Environ

LONGEST_ANSWER = 65_536
"""Bytes."""

READ_HERE = ("_TIMEOUT", "_COMPRESSION")
"""Variables that OpenTelemetry for Python reads in another way than the specification, which has
milliseconds, and ``none`` as a compression for gRPC too."""

_log = logging.getLogger(__name__)


def exporters(
    signals: Collection[str], environ: Environ, answered: Callable[..., None]
) -> tuple[MetricExporter | None, LogRecordExporter | None]:
    """One exporter for each signal that is wanted. Endpoint, headers and certificates they read
    from the process' variables themselves, and raise whatever they raise over a wrong one.
    ``answered`` is a hook of requests for each answer over HTTP."""
    asked = {signal: variables.asked(signal, environ) for signal in sorted(signals)}
    # gRPC's core writes a plain line to standard error for each handshake that fails, until told
    # not to before it is imported; what it has to say is in its exceptions too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with _headers_untold():
        for signal in asked:
            _check_headers(signal, environ)
        with _without(_not_theirs(environ)):
            metrics = _metric_exporter(asked["metrics"], answered) if "metrics" in asked else None
            logs = _log_exporter(asked["logs"], answered) if "logs" in asked else None
    return metrics, logs


def _not_theirs(environ: Environ) -> list[str]:
    """Variables that the exporters are not to see: that are read here, or that are empty, and count
    as unset, which they do not know of all of them."""
    ours = [name for name in environ if name.startswith(variables.PREFIX)]
    return [name for name in ours if name.endswith(READ_HERE) or not environ[name].strip()]


@contextmanager
def _without(names: Collection[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def _headers_untold() -> Iterator[None]:
    """While headers are read. OpenTelemetry logs one that it cannot read with its value, which is a
    credential as a rule; the agent says the same without it."""
    theirs = logging.getLogger("opentelemetry.util.re")
    met: list[logging.LogRecord] = []

    def withheld(record: logging.LogRecord) -> bool:
        met.append(record)
        return False

    theirs.addFilter(withheld)
    try:
        yield
    finally:
        theirs.removeFilter(withheld)
    if met:
        _log.warning(
            "a header in OTEL_EXPORTER_OTLP_HEADERS cannot be read and is left out; write "
            "NAME=VALUE, with commas between, and percent-encode what else is in a value"
        )


def _check_headers(signal: str, environ: Environ) -> None:
    """Raises ``ValueError`` where a header could not be sent: each attempt would fail, with an
    error that quotes it."""
    name, text = variables.of_exporter("HEADERS", signal, environ)
    for value in parse_env_headers(text, liberal=True).values():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name} has a line break, or a letter beyond ASCII, in a value")


def _metric_exporter(asked: Asked, answered: Callable[..., None]) -> MetricExporter:
    if asked.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as OverGrpc,
        )

        return OverGrpc(**_for_grpc(asked))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter as OverHttp,
    )

    return OverHttp(**_for_http(asked, answered))


def _log_exporter(asked: Asked, answered: Callable[..., None]) -> LogRecordExporter:
    if asked.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc(**_for_grpc(asked))
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp(**_for_http(asked, answered))


def _for_grpc(asked: Asked) -> dict[str, Any]:
    from grpc import Compression  # type: ignore[import-untyped]

    compressions = {
        "none": Compression.NoCompression,
        "gzip": Compression.Gzip,
        "deflate": Compression.Deflate,
    }
    return {"timeout": asked.timeout, "compression": compressions[asked.compression]}


class _Session(requests.Session):
    """Reads no more of an answer than a real one has, and never all of it into memory: what stands
    at the address need not be a collector. Nobody looks at what is read; a connection is used again
    where that was all."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        with super().send(request, **{**options, "stream": True}) as response:
            for _ in islice(response.iter_content(LONGEST_ANSWER), 2):
                pass
        return response


def _for_http(asked: Asked, answered: Callable[..., None]) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression

    session = _Session()
    session.hooks["response"].append(answered)
    compression = Compression(asked.compression)
    return {"timeout": asked.timeout, "compression": compression, "session": session}
