"""The files that a container was given before it started, handed on to its successor.

Compose writes some into a container that it has made: secrets with ``environment``, configs with
``content`` or ``environment`` (pkg/compose/secrets.go of docker/compose). They are in no image and
no mount, and nobody else would write them into a container that Compose has not made.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import time
from datetime import datetime, timedelta
from typing import cast

from healthagent.docker_api import Api
from healthagent.supervisor.successor import Document

_DELETED = 2
"""The kind of a change in a container's files that is a removal."""

_LOOKED_AT = 500
"""How many changed files at most are looked at, the least deep first: each takes some 10 ms."""

_READ_ONLY = 0o555
"""All mode bits that a plain file may have to which nobody may write, as Go counts them."""

_LARGEST = 1 << 20
"""Bytes; it passes through the agent's memory, and Compose takes such a file from a variable or out
of its own file."""

_ROUNDED = timedelta(seconds=1)
"""By so much the time of a file in an archive may be early."""


def hand_on(engine: Api, old: Document, new: str) -> None:
    """Copy what Compose wrote into the container ``old``, as inspected, into ``new``. Raises what
    docker-py does."""
    if old["HostConfig"].get("ReadonlyRootfs"):
        return  # Compose refuses to write there
    mounted = {mount["Destination"] for mount in old.get("Mounts") or ()}
    changes = engine.diff(old["Id"]) or ()
    paths = {change["Path"] for change in changes if change["Kind"] != _DELETED} - mounted
    for path in sorted(paths, key=lambda path: path.count("/"))[:_LOOKED_AT]:
        if _is_given(engine, old, path):
            _copy(engine, old["Id"], new, path)


def _is_given(engine: Api, old: Document, path: str) -> bool:
    """Whether a file is as Compose leaves one: for nobody to write to, which is its default, of a
    time in whole seconds, since it came in a tar archive, and not older than the container. What an
    app writes itself is hardly ever so."""
    found = stat(engine, old["Id"], path)
    if found is None or found["mode"] & ~_READ_ONLY or found["size"] > _LARGEST:
        return False
    at = datetime.fromisoformat(found["mtime"])
    created = datetime.fromisoformat(old["Created"])
    return at.microsecond == 0 and at >= created - _ROUNDED


def _copy(engine: Api, old: str, new: str, path: str) -> None:
    """As Compose does: from the root, so that folders that lack are made, and as of now, so that it
    is known for what it is in the successor too."""
    pieces, _ = engine.get_archive(old, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as found:
        (member,) = found.getmembers()
        held = found.extractfile(member)
        content = held.read() if held else b""
    member.name, member.mtime = path.lstrip("/"), int(time.time())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(member, io.BytesIO(content))
    engine.put_archive(new, "/", packed.getvalue())


def stat(engine: Api, id_: str, file: str) -> Document | None:
    """What the Engine says of a file in a container, its ``mode`` as Go has it and its ``mtime``
    among it; ``None`` where there is none."""
    url = f"{engine.base_url}/v{engine.api_version}/containers/{id_}/archive"
    found = engine.head(url, params={"path": file}, timeout=engine.timeout)
    if found.status_code == 404:
        return None
    found.raise_for_status()
    told = base64.b64decode(found.headers["X-Docker-Container-Path-Stat"])
    return cast("Document", json.loads(told))
