"""What the tests ask a running agent, over HTTP as anybody would."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from examples.quickstart.tour import web
from examples.quickstart.tour.condition import Seen, until

Document = dict[str, Any]

WITHIN = 60.0
"""Seconds in which what is bound to happen has happened, on a machine that has much else to do.
Only a test that fails waits for so long."""

BUSY = (
    "slow", "overloaded", "busy", "blocked", "deadlocked", "timeout", "status", "uninterruptible",
)  # fmt: skip

ALL_KEPT = 1000
"""As many transitions as an agent keeps."""

ALL_HISTORY = 10_000
"""More than any test makes, and the most that /history tells at a time."""


@dataclass(frozen=True, slots=True)
class AgentClient:
    """An agent at ``url``."""

    url: str

    def get(self, path: str) -> web.Answer:
        return web.get(f"{self.url}{path}")

    def document(self, path: str) -> Document:
        """The JSON of an answer; empty where there was none."""
        answer = self.get(path)
        return dict(json.loads(answer.body)) if answer.status in (200, 503) else {}

    def targets(self) -> dict[str, Document]:
        """All targets by name, as /health tells them."""
        return {target["name"]: target for target in self.document("/health").get("targets", [])}

    def check(self, replica: str, name: str) -> Document:
        """One check of one replica; empty where there is none."""
        checks = self.targets().get(replica, {}).get("checks", [])
        return next((check for check in checks if check["name"] == name), {})

    def notices(self) -> list[Document]:
        return list(self.document("/health").get("notices", []))

    def routed(self) -> list[str]:
        """The servers that Traefik is given now, by URL."""
        return web.routed(self.url)

    def history(self, name: str = "") -> list[Document]:
        """What /history tells of one replica, or of all; nothing where there was no answer."""
        about = f"&name={name}" if name else ""
        return list(self.document(f"/history?most={ALL_HISTORY}{about}").get("entries", []))

    def mark(self) -> str:
        """Where the feed of transitions stands now: for :meth:`since`."""
        events = self._events()
        return events[-1][0] if events else ""

    def since(self, mark: str, replicas: Iterable[str] = ()) -> list[Document]:
        """The transitions after ``mark``, oldest first; of these replicas, or of all."""
        events, wanted = self._events(), frozenset(replicas)
        ids = [id_ for id_, _ in events]
        after = ids.index(mark) + 1 if mark in ids else 0
        return [told for _, told in events[after:] if not wanted or told["target"] in wanted]

    def _events(self) -> list[tuple[str, Document]]:
        lines = self.get(f"/events?replay={ALL_KEPT}&follow=false").body.splitlines()
        ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
        data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        told = zip(ids, data, strict=True)
        return [(id_, event) for id_, event in told if event["event"] == "transition"]

    # Waiting

    def wait_until_ready(self, replicas: Iterable[str], *, within: float) -> None:
        """Until exactly these are watched, and all are ready, routed and without a fault."""
        wanted = sorted(replicas)

        def look() -> Seen:
            targets = self.targets()
            well = [name for name, target in targets.items() if target["phase"] == "ready"]
            settled = sorted(targets) == sorted(well) == wanted
            return Seen(settled and self._routes(len(wanted)), told(targets))

        until(f"{', '.join(wanted)} are ready", look, within=within)

    def _routes(self, count: int) -> bool:
        return self.get("/traefik").status == 200 and len(self.routed()) == count

    def wait_for_check(
        self, replica: str, name: str, status: str, code: str = "", *, within: float
    ) -> Document:
        """Until a check reads so; the check as it was then."""
        found: Document = {}

        def look() -> Seen:
            nonlocal found
            found = self.check(replica, name)
            holds = found.get("status") == status and code in ("", found.get("code"))
            return Seen(holds, f"{found.get('status')} {found.get('code')}: {found.get('reason')}")

        until(f"{name} of {replica} reads {status} {code}".rstrip(), look, within=within)
        return found

    def wait_for_notice(self, about: str, *, within: float) -> Document:
        """Until there is a notice about something; that notice. There must be no other."""

        def look() -> Seen:
            notices = self.notices()
            return Seen([n["about"] for n in notices] == [about], said(notices))

        until(f"one notice, about {about}", look, within=within)
        return self.notices()[0]

    def wait_for_no_notice(self, *, within: float) -> None:
        def look() -> Seen:
            notices = self.notices()
            return Seen(notices == [], said(notices))

        until("no notice stands any more", look, within=within)


def harmed(transitions: list[Document]) -> list[Document]:
    """Those to the worse that a machine with too much to do does not bring about by itself."""
    return [change for change in transitions if change["worse"] and change["code"] not in BUSY]


def told(targets: dict[str, Document]) -> str:
    """All targets in a line, for a failure's message."""
    return "; ".join(f"{t['name']} {t['phase']} {t['reason']}" for t in targets.values()) or "none"


def said(notices: list[Document]) -> str:
    return "; ".join(notice["text"] for notice in notices) or "no notice"


def sentences(transitions: list[Document]) -> str:
    """Transitions in a line, for a failure's message."""
    return "; ".join(
        f"{t['target']} {t['check'] or ''}: {t['before']} -> {t['after']} {t['code']} {t['reason']}"
        for t in transitions
    )
