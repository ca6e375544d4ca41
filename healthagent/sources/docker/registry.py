"""What is known of the labelled containers: the fold of all that the Engine told, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from healthagent.core.compose import PROJECT
from healthagent.core.declaration import declare
from healthagent.core.masking import secrets_in
from healthagent.core.notice import Notice
from healthagent.core.observation import ContainerState, Unseen
from healthagent.core.target import DatabaseRef, Target
from healthagent.sources.docker import event as events
from healthagent.sources.docker.container import ENABLE, Container, Vantage, unreadable
from healthagent.sources.docker.event import Event
from healthagent.sources.docker.exits import History
from healthagent.sources.docker.messages import Heard, Inspected, Surveyed, Untold


@dataclass(frozen=True, slots=True)
class Known:
    """One labelled container. ``target`` is ``None`` where it does not ask to be watched.
    ``project`` is its Compose project, empty without one. ``secrets`` are the values of its
    variables that nobody is to read. ``untold`` is a notice where the Engine did not tell of it the
    last time that it was asked."""

    state: ContainerState | Unseen
    target: Target | None
    notices: tuple[Notice, ...] = ()
    project: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    untold: Notice | None = None

    @property
    def all_notices(self) -> tuple[Notice, ...]:
        return self.notices if self.untold is None else (*self.notices, self.untold)


@dataclass(frozen=True, slots=True)
class Survey:
    """A wish to be told of all containers anew."""


class Registry:
    """Takes in what the Engine tells.

    What an event itself says counts at once, and asks for an inspection that corrects it. An
    inspection that was asked for earlier than that says nothing: it may be older than the event.
    Only of a container that was not inspected yet it says that it is there, and how it is declared.
    """

    def __init__(
        self,
        project: str | None,
        databases: Mapping[str, DatabaseRef],
        defaults: Mapping[str, str],
        routed: str | None = None,
    ) -> None:
        self._project = project
        self._routed = routed
        self._databases = databases
        self._defaults = defaults
        self._own: str | None = None
        self._vantage = Vantage()
        self._known: dict[str, Known] = {}
        self._heard_at: dict[str, float] = {}
        self._histories: dict[str, History] = {}
        self._touched: set[str] = set()
        self._mentioned: set[str] = set()

    @property
    def known(self) -> Mapping[str, Known]:
        """All labelled containers by id."""
        return self._known

    @property
    def apart(self) -> bool:
        """Whether no container can be reached from where the agent is."""
        return self._vantage.apart

    @property
    def own(self) -> str | None:
        """The id of the agent's own container, if it has one."""
        return self._own

    def mixed(self) -> Iterator[Notice]:
        """A notice for each service that several Compose projects have: staging beside production,
        made of one file. The agent takes it for one, with one quorum, and rolls it whole."""
        projects: dict[str, set[str]] = defaultdict(set)
        for known in self._known.values():
            if known.target is not None:
                projects[known.target.service].add(known.project)
        for service, names in projects.items():
            if len(names) > 1:
                several = " and ".join(sorted(filter(None, names)) + ["no project"] * ("" in names))
                yield Notice(
                    about=service,
                    key="docker.project",
                    problem=f"is not set, and the service is in {several}: all are taken for one",
                    remedy="give each project an agent of its own, and its name in "
                    "HEALTHAGENT_DOCKER_PROJECT",
                )

    def history(self, id_: str) -> History:
        """How the runs of a container ended, as far as it was seen."""
        return self._histories.get(id_, History())

    def take_touched(self) -> frozenset[str]:
        """The ids of those that began or ceased to run since the last time."""
        touched, self._touched = frozenset(self._touched), set()
        return touched

    def take_mentioned(self) -> frozenset[str]:
        """The ids about which something else was heard since the last time."""
        mentioned, self._mentioned = frozenset(self._mentioned), set()
        return mentioned

    def hear(self, heard: Heard) -> str | Survey | None:
        """Fold an event; the answer is what to ask the Engine for: an id, all, or nothing."""
        event, id_ = heard.event, heard.event.container
        if id_ == self._own and event.action in ("connect", "disconnect"):
            return Survey()  # the agent's own networks changed, and with them every address
        if id_ not in self._known and not self._concerns(event):
            return None
        self._heard_at[id_] = heard.at
        if event.action == "destroy":
            self._known.pop(id_, None)
            self._histories.pop(id_, None)
            return None
        self._histories[id_] = self._histories.get(id_, History()).hear(event)
        known = self._known.get(id_)
        if known is not None:
            if isinstance(known.state, ContainerState):
                self._known[id_] = replace(known, state=events.after(known.state, event))
            if event.action in events.TOUCHING:
                self._touched.add(id_)
            if event.action in events.MENTIONING:
                self._mentioned.add(id_)
        return id_

    def take(self, inspected: Inspected | Untold) -> None:
        """Fold an inspection."""
        if isinstance(inspected, Untold):
            self._miss(inspected)
            return
        id_, container = inspected.id, inspected.container
        if inspected.asked < self._heard_at.get(id_, 0.0):
            if container is not None and self._is_only_heard_of(id_):
                self._known[id_] = self._declared(container)
            return
        if container is None:
            self._known.pop(id_, None)
            self._histories.pop(id_, None)
            return
        self._histories[id_] = self._histories.get(id_, History()).take(container.state)
        before, now = self._known.get(id_), self._declared(container)
        self._known[id_] = now
        if before is not None and _differ(before.state, container.state):
            self._touched.add(id_)

    def take_all(self, survey: Surveyed) -> None:
        """Fold a survey: what is not in it is gone, unless it was heard of since."""
        self._vantage, self._own = replace(survey.vantage, routed=self._routed), survey.own
        present = {inspected.id for inspected in survey.containers}
        for id_ in self._known.keys() - present:
            if self._heard_at.get(id_, 0.0) < survey.asked:
                del self._known[id_]
        for inspected in survey.containers:
            self.take(inspected)
        self._heard_at = {
            id_: at
            for id_, at in self._heard_at.items()
            if id_ in self._known or at >= survey.asked
        }
        self._histories = {
            id_: history
            for id_, history in self._histories.items()
            if id_ in self._known or id_ in self._heard_at
        }

    def _miss(self, untold: Untold) -> None:
        """Keep what is known of a container that the Engine does not tell of. Its state is that
        before it was started, and so is none of now, where it was started since."""
        if untold.asked < self._heard_at.get(untold.id, 0.0):
            return
        unseen = Unseen(untold.why, "look at the log of dockerd")
        known = self._known.get(untold.id, Known(unseen, None))
        name = known.target.name if known.target else untold.name or untold.id[:12]
        notice = Notice(
            about=name,
            problem=f"cannot be inspected, so that what was known of it is kept: {untold.why}",
            remedy=f"try `docker inspect {name}`, and look at the log of dockerd",
        )
        down = isinstance(known.state, ContainerState) and not known.state.up
        state = unseen if down and self.history(untold.id).runs else known.state
        self._known[untold.id] = replace(known, state=state, untold=notice)

    def _is_only_heard_of(self, id_: str) -> bool:
        """Whether a container is there and has not been inspected yet. Else the first survey would
        leave out whoever dies or turns healthy while it is made, and Traefik would be told so."""
        return id_ in self._histories and id_ not in self._known

    def _concerns(self, event: Event) -> bool:
        """An event of a container carries its labels; one of a network does not."""
        labels = event.attributes
        return ENABLE in labels and self._project in (None, labels.get(PROJECT))

    def _declared(self, container: Container) -> Known:
        if not container.is_replica:
            notice = unreadable(container)
            return Known(container.state, None, (notice,) if notice else ())
        target, notices = declare(
            container.candidate(self._vantage), self._databases, self._defaults
        )
        unrouted = container.unrouted(self._vantage)
        return Known(
            container.state,
            target,
            notices if unrouted is None else (*notices, unrouted),
            container.labels.get(PROJECT, ""),
            secrets_in(container.environment),
        )


def _differ(before: ContainerState | Unseen, now: ContainerState) -> bool:
    """Whether something happened that no event told, or that it told only in part."""
    if isinstance(before, Unseen):
        return True
    return (before.status, before.pid, before.started_at, before.exit_code, before.oom_killed) != (
        now.status, now.pid, now.started_at, now.exit_code, now.oom_killed,
    )  # fmt: skip
