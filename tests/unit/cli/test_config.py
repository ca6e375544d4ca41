"""``healthagent config check`` and ``config show``"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [*os.environ]:
        if name.startswith("HEALTHAGENT_") or name == "DOCKER_HOST":
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "healthagent.toml"
    made.write_text(
        'listen = "127.0.0.1:9000"\n[postgres]\nuser = "agent"\npassword = "hunter2"\n'
        '[[targets]]\nname = "app"\nurl = "http://127.0.0.1:3000"\npool.prisma = 5\n'
    )
    return made


def test_check_ends_0_and_shows_what_is_set_and_from_where(run: Run, file: Path) -> None:
    ran = run("config", "check", "--config", str(file))
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["listen", "127.0.0.1:9000", str(file)] in lines
    assert ["targets[app].pool.prisma", "5", str(file)] in lines
    assert "docker.host" not in ran.out, "a default was not set by anybody"


def test_check_prints_every_fault_at_once_and_ends_2(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('listen = "x"\nlisen = "y"\n[log]\nlevel = "loud"\n')
    ran = run("config", "check", "--config", str(bad))
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 4, "a line for each fault, and their number"
    assert ran.err.endswith("3 faults\n")


def test_check_tells_warnings_and_ends_0(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_LISTN", "127.0.0.1:1")
    ran = run("config", "check", "--config", str(file))
    assert (ran.code, "did you mean HEALTHAGENT_LISTEN?" in ran.err) == (0, True)


def test_check_tells_warnings_beside_faults(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHAGENT_LISTEN", "x")
    monkeypatch.setenv("HEALTHAGENT_LITSEN", "1.2.3.4:5")
    ran = run("config", "check")
    fault, warning, count = ran.err.splitlines()
    assert fault.startswith('listen = "x" (HEALTHAGENT_LISTEN)')
    assert warning.startswith("warning: the agent's variables: HEALTHAGENT_LITSEN sets nothing")
    assert warning.endswith("did you mean HEALTHAGENT_LISTEN?")
    assert (ran.code, count) == (2, "1 fault")


def test_check_warns_as_watch_does_of_a_history_that_cannot_be_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_SUPERVISOR_STATE", str(tmp_path / "none" / "x"))
    ran = run("config", "check")
    assert ran.code == 0
    assert f"warning: history: supervisor.state='{tmp_path}/none/x' cannot be used" in ran.err
    assert "the history is kept in memory" in ran.err
    assert not (tmp_path / "none").exists()


def test_check_leaves_a_history_alone_that_can_be_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_SUPERVISOR_STATE", str(tmp_path))
    ran = run("config", "check")
    assert (ran.code, ran.err) == (0, "")
    assert [*tmp_path.iterdir()] == []


def test_check_prints_faults_and_warnings_as_json(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[admin]\ntoken = "hunter2"\n[log]\nlevel = "loud"\n')
    monkeypatch.setenv("HEALTHAGENT_LITSEN", "1.2.3.4:5")
    ran = run("config", "check", "--json", "--config", str(bad))
    assert ran.code == 2
    assert ran.json["faults"][0] == {
        "key": "log.level",
        "value": "loud",
        "problem": "cannot be read",
        "remedy": "write debug, info, warning or error",
        "origin": str(bad),
    }
    assert (ran.json["faults"][1]["key"], ran.json["faults"][1]["value"]) == ("admin.token", "***")
    assert ran.json["warnings"] == [
        {
            "key": "HEALTHAGENT_LITSEN",
            "value": None,
            "problem": "sets nothing",
            "remedy": "did you mean HEALTHAGENT_LISTEN?",
            "origin": None,
        }
    ]


def test_check_prints_empty_lists_as_json_where_all_is_well(run: Run, file: Path) -> None:
    ran = run("config", "check", "--json", "--config", str(file))
    assert (ran.code, ran.json) == (0, {"faults": [], "warnings": []})


def test_show_prints_defaults_too(run: Run, file: Path) -> None:
    lines = [line.split() for line in run("config", "show", "--config", str(file)).out.splitlines()]
    assert ["docker.host", "unix:///var/run/docker.sock", "default"] in lines


def test_show_prints_the_defaults_that_are_found_as_the_agent_starts(run: Run, file: Path) -> None:
    shown = {row["key"]: row for row in run("config", "show", "--json", "--config", str(file)).json}
    of_nobody = {key for key, row in shown.items() if row["origin"] == "default"}
    assert of_nobody >= {"admin.socket", "docker.enabled", "docker.project", "public_listen"}
    assert shown["docker.enabled"]["value"] == "auto"
    assert "postgres.password_file" not in shown, "it has neither value nor default"


def test_a_duration_is_shown_as_it_may_be_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_TRAEFIK_THROTTLE", "250ms")
    lines = [line.split() for line in run("config", "show").out.splitlines()]
    assert ["traefik.throttle", "0.25s", "HEALTHAGENT_TRAEFIK_THROTTLE"] in lines
    assert ["drain.longest", "30s", "default"] in lines


def test_show_prints_json(run: Run, file: Path) -> None:
    shown = run("config", "show", "--json", "--config", str(file)).json
    assert {"key": "listen", "value": "127.0.0.1:9000", "origin": str(file)} in shown


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_password_is_printed_by_neither(run: Run, file: Path, command: str) -> None:
    ran = run("config", command, "--config", str(file))
    assert "hunter2" not in ran.out + ran.err
    assert "***" in ran.out


def test_watch_refuses_settings_with_faults(run: Run, tmp_path: Path) -> None:
    ran = run("watch", "--config", str(tmp_path / "none.toml"))
    assert (ran.code, "No such file" in ran.err) == (2, True)


def test_watch_takes_its_flags_as_the_last_word(run: Run) -> None:
    ran = run("watch", "--listen", "nowhere", "--log-level", "loud")
    assert ran.code == 2
    assert "(--listen)" in ran.err
    assert "(--log-level)" in ran.err
