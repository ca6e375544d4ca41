"""Which OTLP exporters the variables ask for. This module imports OpenTelemetry."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter

PROTOCOLS = ("http/protobuf", "grpc")

_log = logging.getLogger(__name__)


def exporters(
    signals: Collection[str], environ: Mapping[str, str]
) -> tuple[MetricExporter | None, LogRecordExporter | None]:
    """One exporter for each signal that is wanted. Endpoint, headers, certificates, compression
    and timeout they read from the process' variables themselves."""
    metrics = _metric_exporter(_protocol("metrics", environ)) if "metrics" in signals else None
    logs = _log_exporter(_protocol("logs", environ)) if "logs" in signals else None
    return metrics, logs


def _protocol(signal: str, environ: Mapping[str, str]) -> str:
    """``http/protobuf`` is the specification's default, and what stands for one we cannot speak."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip()
    asked = own or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or PROTOCOLS[0]
    if asked in PROTOCOLS:
        return asked
    _log.warning(
        "OTLP protocol %r for %s is not spoken; write %s. Using %s",
        asked,
        signal,
        " or ".join(PROTOCOLS),
        PROTOCOLS[0],
    )
    return PROTOCOLS[0]


def _metric_exporter(protocol: str) -> MetricExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
            OTLPMetricExporter as OverGrpc,
        )

        return OverGrpc()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter as OverHttp,
    )

    return OverHttp()


def _log_exporter(protocol: str) -> LogRecordExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc()
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

    return OverHttp()
