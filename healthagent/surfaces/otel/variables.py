"""What the standard ``OTEL_*`` variables ask for, read as the specification says.

An empty one counts as unset, and a duration is in milliseconds. One that cannot be read counts as
unset too, with a warning that names it, its value and what to write. See "OpenTelemetry Environment
Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from healthagent.core.masking import SHORTEST, secrets_in

Environ = Mapping[str, str]

PREFIX = "OTEL_EXPORTER_OTLP_"
PROTOCOLS = ("http/protobuf", "grpc")
COMPRESSIONS = ("none", "gzip", "deflate")

_log = logging.getLogger(__name__)


def signals(environ: Environ) -> frozenset[str]:
    """Those for which a collector is named, and which are not turned to another exporter."""
    wanted = frozenset(signal for signal in ("metrics", "logs") if _is_wanted(signal, environ))
    disabled = _text("OTEL_SDK_DISABLED", environ)
    if wanted and disabled.lower() not in ("", "true", "false"):
        _log.warning("OTEL_SDK_DISABLED=%r cannot be read; write true or false", disabled)
    return frozenset() if disabled.lower() == "true" else wanted


def _is_wanted(signal: str, environ: Environ) -> bool:
    exporter = _text(f"OTEL_{signal.upper()}_EXPORTER", environ) or "otlp"
    _, endpoint = of_exporter("ENDPOINT", signal, environ)
    return bool(endpoint) and "otlp" in (part.strip() for part in exporter.split(","))


def of_exporter(what: str, signal: str, environ: Environ) -> tuple[str, str]:
    """A variable of the exporter and its value: the signal's own, else the one for all of them."""
    own, general = f"{PREFIX}{signal.upper()}_{what}", f"{PREFIX}{what}"
    name = own if _text(own, environ) else general
    return name, _text(name, environ)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one signal's exporter: one of :data:`PROTOCOLS`, one of
    :data:`COMPRESSIONS`, and the seconds for one export with all of its attempts."""

    protocol: str
    compression: str
    timeout: float


def asked(signal: str, environ: Environ) -> Asked:
    timeout, _ = of_exporter("TIMEOUT", signal, environ)
    return Asked(
        _protocol(signal, environ), _compression(signal, environ), seconds(timeout, 10_000, environ)
    )


def _protocol(signal: str, environ: Environ) -> str:
    """``http/protobuf`` is the specification's default, and what stands for one we cannot speak."""
    _, named = of_exporter("PROTOCOL", signal, environ)
    if not named or named in PROTOCOLS:
        return named or PROTOCOLS[0]
    _log.warning(
        "OTLP protocol %r for %s is not spoken; write %s. Using %s",
        named,
        signal,
        " or ".join(PROTOCOLS),
        PROTOCOLS[0],
    )
    return PROTOCOLS[0]


def _compression(signal: str, environ: Environ) -> str:
    name, named = of_exporter("COMPRESSION", signal, environ)
    if not named or named.lower() in COMPRESSIONS:
        return named.lower() or COMPRESSIONS[0]
    _log.warning("%s=%r cannot be read; write %s", name, named, " or ".join(COMPRESSIONS))
    return COMPRESSIONS[0]


def seconds(name: str, default: int, environ: Environ) -> float:
    """What a variable in milliseconds says."""
    text = _text(name, environ)
    if re.fullmatch(r"0*[1-9][0-9]{0,9}", text):
        return int(text) / 1000
    if text:
        _log.warning("%s=%r cannot be read; write milliseconds such as %d", name, text, default)
    return default / 1000


def secrets(environ: Environ) -> tuple[str, ...]:
    """What no log is to have: the values of headers, and passwords in endpoints."""
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    headers = [
        unquote(header.partition("=")[2]).strip()
        for name, text in given.items()
        if name.endswith("HEADERS")
        for header in text.split(",")
    ]
    return (*secrets_in(given), *(value for value in headers if len(value) >= SHORTEST))


def _text(name: str, environ: Environ) -> str:
    return environ.get(name, "").strip()
