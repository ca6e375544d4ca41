"""Static targets are sighted as configured; a pid file is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.core.notice import Notice
from healthagent.core.target import Target
from healthagent.sources import static
from healthagent.sources.static import StaticDiscovery, pid_in

TARGET = Target(id="static:app", name="app", service="app")


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "POLL", 0.01)


async def test_the_targets_and_the_notices_of_the_configuration_are_sighted_at_once() -> None:
    notice = Notice("app", "is odd", "make it even")
    sighting = await anext(StaticDiscovery([TARGET], [notice]).sightings())
    assert (sighting.targets, sighting.notices) == ((TARGET,), (notice,))
    assert sighting.complete


async def test_a_pid_file_gives_the_pid(tmp_path: Path) -> None:
    (pidfile := tmp_path / "app.pid").write_text("42\n")
    sightings = StaticDiscovery([TARGET], pidfiles={TARGET.id: pidfile}).sightings()
    assert (await anext(sightings)).targets[0].pid == 42


async def test_a_process_that_restarted_is_sighted_anew_and_touched(tmp_path: Path) -> None:
    (pidfile := tmp_path / "app.pid").write_text("42\n")
    sightings = StaticDiscovery([TARGET], pidfiles={TARGET.id: pidfile}).sightings()
    await anext(sightings)
    pidfile.write_text("43\n")
    again = await anext(sightings)
    assert (again.targets[0].pid, again.touched) == (43, frozenset({TARGET.id}))


async def test_a_pid_file_that_never_held_a_pid_is_a_notice_until_it_does(tmp_path: Path) -> None:
    pidfile = tmp_path / "app.pid"
    sightings = StaticDiscovery([TARGET], pidfiles={TARGET.id: pidfile}).sightings()
    first = await anext(sightings)
    assert [(n.key, n.problem) for n in first.notices] == [("pidfile", "holds no pid")]
    pidfile.write_text("42")
    assert (await anext(sightings)).notices == ()


async def test_a_pid_file_that_names_no_process_still_declares_one(tmp_path: Path) -> None:
    pidfile = tmp_path / "app.pid"
    discovery = StaticDiscovery([TARGET], pidfiles={TARGET.id: pidfile})
    [target] = (await anext(discovery.sightings())).targets
    assert (target.pid, target.pidfile) == (0, str(pidfile))


async def test_a_pid_file_that_cannot_be_read_says_nothing_of_the_process(tmp_path: Path) -> None:
    sighting = await anext(StaticDiscovery([TARGET], pidfiles={TARGET.id: tmp_path}).sightings())
    assert [(n.key, n.problem) for n in sighting.notices] == [("pidfile", "cannot be read")]
    assert sighting.targets[0].pid is None


async def test_a_pid_file_that_is_gone_leaves_the_last_pid_to_be_judged(tmp_path: Path) -> None:
    (pidfile := tmp_path / "app.pid").write_text("42")
    other = Target(id="static:other", name="other", service="other")
    (tmp_path / "other.pid").write_text("1")
    pidfiles = {TARGET.id: pidfile, other.id: tmp_path / "other.pid"}
    sightings = StaticDiscovery([TARGET, other], pidfiles=pidfiles).sightings()
    await anext(sightings)
    pidfile.unlink()
    (tmp_path / "other.pid").write_text("2")
    again = await anext(sightings)
    assert [target.pid for target in again.targets] == [42, 2]


@pytest.mark.parametrize("text", ["", "app", "-1", "0", "4x"])
def test_what_is_no_pid_is_0(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert pid_in(tmp_path / "pid") == 0


def test_only_the_first_word_of_a_pid_file_counts(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("42\n/var/lib/postgresql\n")
    assert pid_in(tmp_path / "postmaster.pid") == 42
