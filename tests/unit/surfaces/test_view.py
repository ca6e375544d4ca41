"""What a public listener may tell."""

from __future__ import annotations

from dataclasses import replace

import orjson

from healthagent.core.check import Group
from healthagent.core.notice import Notice
from healthagent.core.ports import Entry
from healthagent.core.report import Report
from healthagent.core.transition import transitions
from healthagent.surfaces.entry_text import document
from healthagent.surfaces.http import health, kubernetes
from healthagent.surfaces.http.view import StatesAlone
from tests.unit.surfaces.world import NOW, RESTARTED, World

SECRETS = (
    "10.0.0.",
    "postgres:5432",
    "stopped",
    "warming up",
    "SIGSTOP",
    "pid",
    "EXPOSE",
    "secret",
)


def test_states_stay(world: World) -> None:
    report = world.report(world.frozen("app-1"), world.refusing("app-2"), world.replica("app-3"))
    bare = StatesAlone().report(report)
    assert [t.phase for t in bare.targets] == [t.phase for t in report.targets]
    assert [t.ready for t in bare.targets] == [t.ready for t in report.targets]
    assert bare.services[0].quorum == report.services[0].quorum


def test_a_state_without_its_reason_reads_as_the_check_to_blame_alone(world: World) -> None:
    report = StatesAlone().report(world.report(world.frozen("app-1"), world.refusing("app-2")))
    assert [target.reason for target in report.targets] == ["process", "http"]


def test_no_reason_address_or_setting_is_left_in_any_answer(world: World) -> None:
    notice = Notice("app-1", "secret", "secret", key="secret", value="secret")
    replicas = (world.frozen("app-1"), world.refusing("app-2"), world.replica("app-3"))
    report = world.report(*replicas, notices=(notice,))
    view = StatesAlone()
    shown = view.report(report)
    act = replace(RESTARTED, by="secret", text="secret", evidence={"pid": 1})
    entries: tuple[Entry, ...] = (*transitions(Report(NOW, settled=True), report), act)
    told = "\n".join(
        (
            orjson.dumps(health.document(shown, view.notices(report.notices), None)).decode(),
            *(kubernetes.of_target(t, Group.READINESS).text(True) for t in shown.targets),
            kubernetes.of_service(view.service(report.services[0])).text(True),
            *(orjson.dumps(document(view.entry(entry))).decode() for entry in entries),
        )
    )
    assert [secret for secret in SECRETS if secret in told.replace('"pid":0', "")] == []
