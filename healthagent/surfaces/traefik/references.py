"""Names by which routers, services and middlewares refer to one another.

Labels may say ``auth@docker`` of what they define themselves; served from here it is ``auth@http``,
and a name without a provider means the same one. What is defined elsewhere keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healthagent.surfaces.traefik import policy
from healthagent.surfaces.traefik.policy import Things


def router(router: Mapping[str, Any], services: Things, middlewares: Things) -> Mapping[str, Any]:
    """A router with its references moved here, and with the agent's retry where it has none of its
    own and goes to replicas that are known here."""
    service = _here(router["service"], services)
    names = _all_here(router["middlewares"], middlewares)
    if service not in services or any(_retries(name, middlewares) for name in names):
        names = [name for name in names if not policy.is_retry(name)]
    moved = {**router, "service": service, "middlewares": names}
    return moved if names else {key: v for key, v in moved.items() if key != "middlewares"}


def service(service: Mapping[str, Any], middlewares: Things) -> Mapping[str, Any]:
    """A service with its references moved here."""
    if "middlewares" not in service:
        return service
    return {**service, "middlewares": _all_here(service["middlewares"], middlewares)}


def middleware(
    middleware: Mapping[str, Any], services: Things, middlewares: Things
) -> Mapping[str, Any]:
    """A middleware with its references moved here."""
    match middleware:
        case {"chain": {"middlewares": names, **other}}:
            chain = {**other, "middlewares": _all_here(names, middlewares)}
            return {**middleware, "chain": chain}
        case {"errors": {"service": name, **other}}:
            return {**middleware, "errors": {**other, "service": _here(name, services)}}
    return middleware


def needed(routers: Things, middlewares: Things) -> Things:
    """The middlewares without the agent's own that no router uses."""
    used = {name for router in routers.values() for name in router.get("middlewares", ())}
    return {n: m for n, m in middlewares.items() if n in used or not policy.is_retry(n)}


def _retries(name: str, middlewares: Things) -> bool:
    """Whether a user's middleware repeats requests; two that do so multiply."""
    seen: set[str] = set()

    def kinds(name: str) -> Iterator[str]:
        definition = middlewares.get(name, {})
        if name in seen:
            return
        seen.add(name)
        yield from definition
        for inner in definition.get("chain", {}).get("middlewares", ()):
            yield from kinds(_here(inner, middlewares))

    return not policy.is_retry(name) and "retry" in kinds(name)


def _all_here(names: Sequence[str], defined: Things) -> list[str]:
    return [_here(name, defined) for name in names]


def _here(reference: str, defined: Things) -> str:
    name = reference.removesuffix("@docker")
    return name if name in defined else reference
