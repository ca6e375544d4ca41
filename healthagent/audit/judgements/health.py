"""Endpoints, HEALTHCHECK, and routing that goes by them (FR-7, 8.1, 8.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from healthagent.audit.evidence import (
    Agent,
    App,
    Code,
    Container,
    Dockerfile,
    Evidence,
    Healthcheck,
    Image,
    Place,
    Replica,
    Service,
)
from healthagent.audit.finding import Finding, Outcome, met, not_met, not_seen, resolved, worst
from healthagent.core.observation import Unseen

_PASTE = "paste Dockerfile.fragment into the Dockerfile"
_ASK = "audit with --traefik URL: its API"
_PROBED = "failed "
"""What a line of healthprobe's begins with that found a fault: it is there, and says which."""

_CANNOT_FAIL = re.compile(
    r"(?:\S*sh -c )?(?:.*(?:\|\||;)\s*)?(?:(?:\S*/)?true|:|exit 0)\s*;?", re.DOTALL
)
_AGENT = "--providers.http.endpoint=http://agent:9180/traefik"


def endpoint(kind: str) -> Callable[[App, Code], Finding]:
    """Whether the source answers the declared path: ``kind`` is ``livez`` or ``readyz``."""

    def look(app: App, code: Code) -> Finding:
        label = app.service.labels.get(f"healthagent.{kind}")
        path = label.value if label else f"/{kind}"
        if label and path == "none":
            return not_met(
                f"healthagent.{kind} says that there is none", label.place,
                remedy=f"give the app a {path} endpoint, and name its path",
            )  # fmt: skip
        place = code.source.paths.get(path)
        if place:
            return met(f"{path} is there", place)
        return not_met(
            f"nothing in the source answers {path}", Place(code.folder),
            remedy=f"answer {path} (with SvelteKit by src/routes{path}/+server.ts), or name the "
            f"path that does: healthagent.{kind}",
        )  # fmt: skip

    return look


def answers(check: str) -> Callable[[Agent], Finding]:
    """Whether the agent gets an answer. An endpoint that says no is there all the same, and so is
    that of a replica out of service which is silent while another of its service answers."""

    def look(agent: Agent) -> Finding:
        found = [(replica, _answer(replica, check)) for replica in agent.replicas]
        heard = {replica.service for replica, each in found if each.outcome.passing}
        return worst(
            each
            for replica, each in found
            if each.outcome.passing or replica.ready or replica.service not in heard
        )

    return look


def _answer(replica: Replica, check: str) -> Finding:
    verdict = replica.checks.get(check)
    if verdict is None:
        return not_met(
            f"the agent finds no endpoint for its check {check}", replica.place,
            remedy="give the app the endpoint, and the service its label",
        )  # fmt: skip
    if verdict.status == "unknown":
        return not_seen(Unseen(verdict.reason, "see `healthagent explain`"), replica.place)
    says_no = verdict.answered == HTTPStatus.SERVICE_UNAVAILABLE
    if verdict.status == "failed" and not says_no:
        return not_met(verdict.reason, replica.place, remedy="see `healthagent explain`")
    return met(f"the agent's check {check} gets an answer", replica.place)


def has_healthcheck(app: App) -> Finding:
    built = app.dockerfile.healthcheck if isinstance(app.dockerfile, Dockerfile) else None
    own = app.service.healthcheck or built
    if own is None:
        if isinstance(app.dockerfile, Unseen):
            return not_seen(app.dockerfile)
        return not_met(
            "neither the Dockerfile nor the Compose file has a HEALTHCHECK",
            app.dockerfile.place, app.service.place, remedy=_PASTE,
        )  # fmt: skip
    return _is_enabled(own)


def image_has_healthcheck(app: App, image: Image) -> Finding:
    own = app.service.healthcheck or image.healthcheck
    if own is None:
        return not_met(
            "the image has no HEALTHCHECK, and the Compose file gives it none", image.place,
            remedy=f"{_PASTE}, and build the image anew",
        )  # fmt: skip
    return _is_enabled(own)


def _is_enabled(own: Healthcheck) -> Finding:
    if not own.enabled:
        return not_met("the HEALTHCHECK is switched off", own.place, remedy=_PASTE)
    if _CANNOT_FAIL.fullmatch(own.test):
        return not_met(f"the HEALTHCHECK cannot fail: {own.test}", own.place, remedy=_PASTE)
    return met("there is a HEALTHCHECK", own.place)


def enforces_health(app: App) -> Finding:
    found = has_healthcheck(app)
    return resolved(found.seen, *found.places) if found.outcome.passing else found


def is_checked(container: Container, replica: Replica | None) -> Finding:
    """Docker's mark is worth what the HEALTHCHECK is: one that fails on a replica which the agent
    finds ready, such as for a program that the image lacks, tells nothing of the app."""
    if container.health is None:
        return not_met(
            "Docker checks nothing in it", container.place,
            remedy=f"{_PASTE}, and recreate the containers",
        )  # fmt: skip
    if container.health == "unhealthy" and replica and replica.ready:
        why = f" ({container.told})" if container.told else ""
        shown = f"`docker inspect {container.name}` shows its HEALTHCHECK"
        cure = "mend what it names" if container.told.startswith(_PROBED) else _PASTE
        return not_met(
            f"Docker finds it unhealthy{why}, while the agent finds it ready", container.place,
            remedy=f"{shown}; {cure}",
        )  # fmt: skip
    return met(f"Docker checks it, and finds it {container.health}", container.place)


def _proxies(seen: Evidence) -> list[tuple[Service, dict[str, str]]]:
    """Each Traefik of the stack, with its static configuration."""
    return [
        (service, _settings(service))
        for service in seen.stack.services.values()
        if "traefik" in (service.image.value if service.image else service.name).rsplit("/", 1)[-1]
    ]


def routes_by_health(seen: Evidence) -> Finding:
    """By what Traefik is told at its start; by its own word where that is in no Compose file."""
    proxies = _proxies(seen)
    for proxy, settings in proxies:
        place = proxy.command.place if proxy.command else proxy.place
        if _by_agent(settings):
            return met("Traefik takes its servers from the agent, the ready ones alone", place)
        if any(key.startswith("providers.docker") for key in settings):
            return _by_docker(seen, place)
    if proxies and all(_tells_all(*each) for each in proxies):
        return not_met(
            "Traefik has no provider that knows who is ready", *(p.place for p, _ in proxies),
            remedy=f"give it {_AGENT}",
        )  # fmt: skip
    unseen = Unseen("Traefik's static configuration was not looked at", _ASK)
    return _by_its_word(seen, not_seen(unseen, *(proxy.place for proxy, _ in proxies)))


def _by_its_word(seen: Evidence, otherwise: Finding) -> Finding:
    return otherwise if isinstance(seen.router, Unseen) else routed_are_ready(seen)


def _settings(proxy: Service) -> dict[str, str]:
    """Traefik's static configuration, as flags and variables give it; what they switch off is not
    there (https://doc.traefik.io/traefik/getting-started/configuration-overview)."""
    words = proxy.command.words if proxy.command else ()
    given = {
        key.lower().lstrip("-"): value for key, _, value in (word.partition("=") for word in words)
    } | {
        name.lower().removeprefix("traefik_").replace("_", "."): text.value
        for name, text in proxy.environment.items()
        if name.startswith("TRAEFIK_")
    }
    return {key: value for key, value in given.items() if not _is_off(key, value)}


def _is_off(key: str, value: str) -> bool:
    return re.fullmatch(r"providers\.\w+", key) is not None and value.lower() == "false"


def _tells_all(proxy: Service, settings: Mapping[str, str]) -> bool:
    """Whether no file, and no provider that is not known here, may say more."""
    told = (proxy.command or settings) and not (proxy.mounts or proxy.build)
    return bool(told) and not any(k.startswith(("providers.", "configfile")) for k in settings)


def _by_docker(seen: Evidence, place: Place) -> Finding:
    """Traefik's Docker provider leaves out what is not ``healthy``, where there is a HEALTHCHECK
    (its ``pkg/provider/docker``); a health check of Traefik's own, which has a path, is as good."""
    for app in seen.apps:
        keys = map(str.lower, app.service.labels)
        if any(key.endswith(".loadbalancer.healthcheck.path") for key in keys):
            continue
        found = has_healthcheck(app)
        if found.outcome is Outcome.NOT_SEEN:
            return _by_its_word(seen, found)
        if not found.outcome.passing:
            return not_met(
                f"Traefik's Docker provider routes to {app.service.name} whatever its health",
                place, app.service.place,
                remedy=f"give {app.service.name} a HEALTHCHECK, or Traefik {_AGENT}",
            )  # fmt: skip
    return met("Traefik's Docker provider leaves out what is not healthy", place)


def has_routers(seen: Evidence) -> Finding:
    return worst(_has_router(app, seen) for app in seen.apps)


def _has_router(app: App, seen: Evidence) -> Finding:
    """By its labels; what a Traefik that is not seen, or one that reads files, has beside them,
    Traefik itself can say."""
    labels, name = app.service.labels, app.service.name
    enabled = labels.get("traefik.enable")
    if enabled and enabled.value.lower() != "true":
        return not_met(
            f"traefik.enable is {enabled}: nothing is routed to {name}", enabled.place,
            remedy='write traefik.enable: "true"',
        )  # fmt: skip
    rules = [t for k, t in labels.items() if k.startswith("traefik.http.routers.")]
    if rules:
        return met("a router leads to it", rules[0].place)
    proxies = _proxies(seen)
    if any(_routes_by_default(settings, enabled is not None) for _, settings in proxies):
        return met("Traefik's default rule leads to it", (enabled or app.service).place)
    if not proxies or not all(_reads_labels_alone(*each) for each in proxies):
        unseen = Unseen(
            f"no label routes to {name}, and what Traefik is told elsewhere was not looked at",
            f"label it traefik.http.routers.NAME.rule, or {_ASK}",
        )
        return _by_its_word(seen, not_seen(unseen, app.service.place))
    return not_met(
        f"{name} has no router", app.service.place,
        remedy="label it traefik.http.routers.NAME.rule",
    )  # fmt: skip


def _routes_by_default(settings: Mapping[str, str], enabled: bool) -> bool:
    """The Docker provider gives a router to each container that is exposed, by ``defaultRule``
    (Traefik's manual, "Docker", ``exposedByDefault``)."""
    if not any(key.startswith("providers.docker") for key in settings):
        return False
    return enabled or settings.get("providers.docker.exposedbydefault", "true").lower() != "false"


def _reads_labels_alone(proxy: Service, settings: Mapping[str, str]) -> bool:
    """The Docker provider and the agent go by labels; other providers, and files, need not."""
    providers = {key.split(".")[1] for key in settings if key.startswith("providers.")}
    known = {"docker", "providersthrottleduration"} | ({"http"} if _by_agent(settings) else set())
    if providers - known or any(key.startswith("configfile") for key in settings):
        return False
    return bool(providers) or _tells_all(proxy, settings)


def _by_agent(settings: Mapping[str, str]) -> bool:
    return urlsplit(settings.get("providers.http.endpoint", "")).path.rstrip("/") == "/traefik"


def routed_are_ready(seen: Evidence) -> Finding:
    """Exactly the ready replicas are among the servers that Traefik has.

    By Traefik's own word: what the agent gives to it says nothing of what became of that.
    """
    if isinstance(seen.agent, Unseen):
        return not_seen(seen.agent)
    if isinstance(seen.router, Unseen):
        return not_seen(seen.router)
    replicas, router = seen.agent.replicas, seen.router
    sick = [r for r in replicas if not r.ready and router.has(r)]
    if sick:
        return not_met(
            f"{sick[0].name} is not ready, and Traefik sends requests to it", sick[0].place,
            router.place, remedy="see `healthagent explain`",
        )  # fmt: skip
    missing = [r for r in replicas if r.ready and r.address and r.port and not router.has(r)]
    if missing:
        return not_met(
            f"{missing[0].name} is ready, and Traefik sends no requests to it", missing[0].place,
            router.place, remedy="see `healthagent explain`; it may be drained",
        )  # fmt: skip
    ready = sum(replica.ready for replica in replicas)
    return met(
        f"Traefik sends requests to {ready} of {len(replicas)} replicas, the ready ones",
        router.place,
    )
