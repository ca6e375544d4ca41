"""PostgreSQL and Traefik run with no engine, and are gone when whoever started them is."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from provision.errors import ProvisionError
from provision.local import LocalProcess, new_folder
from provision.local_postgres import LocalPostgres
from provision.local_traefik import LocalTraefik
from provision.paths import ROOT


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"still not so after 20 s: {what}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_postgres_begins_as_it_was_asked_to(tmp_path: Path) -> None:
    script = tmp_path / "init.sql"
    script.write_text(
        "\\getenv word WORD\nCREATE TABLE words (word text);\nINSERT INTO words VALUES (:'word');\n"
    )
    with (
        LocalPostgres(
            user="own er",
            password="it's a p@ss/word",
            database='quick"start',
            scripts=[script],
            settings={"max_connections": "17"},
            environment={"WORD": "bonjour"},
        ) as postgres,
        psycopg.connect(postgres.dsn) as connection,
    ):
        assert connection.execute("TABLE words").fetchone() == ("bonjour",)
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)
        assert connection.execute("SELECT current_database()").fetchone() == ('quick"start',)


def test_postgres_can_be_taken_away_and_brought_back_with_its_data() -> None:
    with LocalPostgres() as postgres:
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept ()")
        pid = postgres.pid
        postgres.stop()
        assert not is_running(pid)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.dsn)
        postgres.start()
        with psycopg.connect(postgres.dsn) as connection:
            connection.execute("TABLE kept")


def test_a_script_that_fails_leaves_no_server(tmp_path: Path) -> None:
    script = tmp_path / "init.sql"
    script.write_text("SELECT no_such_column;")
    postgres = LocalPostgres(scripts=[script])
    with pytest.raises(ProvisionError, match="no_such_column"), postgres:
        pass
    with pytest.raises(LookupError):
        _ = postgres.pid


def test_traefik_answers_on_ports_of_its_own() -> None:
    with LocalTraefik() as one, LocalTraefik() as other:
        assert len({one.url, one.api, other.url, other.api}) == 4
        with urllib.request.urlopen(f"{one.api}/api/version", timeout=5) as answer:
            assert json.load(answer)["Version"].startswith("3.")


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = LocalProcess(["sh", "-c", "echo no such option; exit 3"], log=tmp_path / "log")
    with pytest.raises(ProvisionError, match=r"sh: ended 3\n  \| no such option"):
        process.wait_until(lambda: False, timeout=20)


def test_a_frozen_program_can_be_stopped(tmp_path: Path) -> None:
    process = LocalProcess(["sleep", "60"], log=tmp_path / "log")
    process.wait_until(lambda: process.running, timeout=20)
    subprocess.run(["kill", "-STOP", str(process.pid)], check=True)
    process.stop()
    assert not process.running


def test_nothing_outlives_a_starter_that_is_killed() -> None:
    program = """
import sys, time
from provision.local_postgres import LocalPostgres
from provision.local_traefik import LocalTraefik
with LocalPostgres() as postgres, LocalTraefik() as traefik:
    print(postgres.pid, traefik.pid, postgres._folder, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        postgres, traefik, folder = starter.stdout.readline().split()
        assert is_running(int(postgres))
        assert is_running(int(traefik))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    wait_for(lambda: not is_running(int(postgres)), "PostgreSQL ended with its starter")
    wait_for(lambda: not is_running(int(traefik)), "Traefik ended with its starter")
    assert Path(folder).exists(), "a killed starter removes nothing"
    new_folder("test").rmdir()
    assert not Path(folder).exists(), "the next one to make a folder removes what it left"
