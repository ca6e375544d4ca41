"""An engine that cannot be had is named with its reason and a remedy; nothing is installed then.

The programs here stand in for failures alone, of the Docker client and of what would set it up;
what a real client and engine do is in tests/system.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from provision import engine, state, tools
from provision.errors import CommandFailed, ProvisionError, Unavailable
from provision.progress import Progress


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a program, called docker unless named, the only one on PATH beside the shell's own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(programs))

    def install(script: str, name: str = "docker") -> None:
        program = programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


def test_a_named_engine_that_is_silent_is_never_replaced(
    docker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker('echo "Cannot connect to the Docker daemon" >&2; exit 1')
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"DOCKER_HOST=tcp://127\.0\.0\.1:1") as caught:
        engine.ensure(Progress())
    assert "unset DOCKER_HOST" in caught.value.remedy


def test_a_socket_that_is_closed_to_the_user_says_so(docker: Callable[..., None]) -> None:
    docker('echo "permission denied while trying to connect" >&2; exit 1')
    with pytest.raises(Unavailable, match="does not let this user in") as caught:
        engine.ensure(Progress())
    assert "group `docker`" in caught.value.remedy


def test_no_client_and_no_apt_get_is_unavailable(docker: Callable[..., None]) -> None:
    with pytest.raises(Unavailable, match="there is no apt-get here"):
        engine.ensure(Progress())


@pytest.fixture
def may_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, and with no engine named: what is missing is installed, what is down started."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.usefixtures("may_install")
def test_an_apt_get_that_fails_is_unavailable(docker: Callable[..., None]) -> None:
    docker('echo "E: Unable to locate package docker.io" >&2; exit 100', "apt-get")
    with pytest.raises(Unavailable, match="Unable to locate package") as caught:
        engine.ensure(Progress())
    assert "then start again" in caught.value.remedy


@pytest.mark.usefixtures("may_install")
def test_a_service_that_does_not_start_is_unavailable(
    docker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("docker", "dockerd", "iptables"):
        docker("exit 1", name)
    docker('echo "Job for docker.service failed" >&2; exit 1', "systemctl")
    monkeypatch.setattr(engine, "_systemd", lambda: True)
    with pytest.raises(Unavailable, match=r"Job for docker\.service failed"):
        engine.ensure(Progress())


@pytest.mark.usefixtures("may_install")
def test_a_daemon_that_ends_at_once_is_unavailable(
    docker: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("docker", "iptables"):
        docker("exit 1", name)
    docker('echo "no cgroups here" >&2; exit 1', "dockerd")
    monkeypatch.setattr(engine, "_systemd", lambda: False)
    monkeypatch.setattr(state, "FILE", tmp_path / "state.json")
    with pytest.raises(Unavailable, match="dockerd exited 1: no cgroups here"):
        engine.ensure(Progress())
    assert state.load() == state.State()


def test_without_an_engine_none_is_found(docker: Callable[..., None]) -> None:
    assert engine.find() is None
    docker("exit 1")
    assert engine.find() is None


def test_compose_is_linked_where_the_client_has_none_and_taken_back(
    docker: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, remembered = tmp_path / "config", tmp_path / "state.json"
    link = settings / "cli-plugins" / "docker-compose"
    docker(f'[ "$1" = version ] && echo 1 || {{ [ -L {link} ] && echo 5; }}')
    monkeypatch.setenv("DOCKER_CONFIG", str(settings))
    monkeypatch.setattr(state, "FILE", remembered)

    engine.ensure(Progress())
    assert link.resolve() == tools.docker_compose().resolve()

    engine.down(Progress())
    assert not link.is_symlink()
    assert state.load() == state.State()


def test_a_compose_plugin_of_the_users_own_is_never_replaced(
    docker: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker('[ "$1" = version ] && echo 1')
    plugin = tmp_path / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir()
    plugin.write_text("broken")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ProvisionError, match="does not answer"):
        engine.ensure(Progress())
    assert plugin.read_text() == "broken"


def test_an_engine_is_reached_by_variables() -> None:
    by_network = engine.Engine("tcp://127.0.0.1:2375", "28.0", buildkit=True)
    assert by_network.socket is None
    assert by_network.environment == {"DOCKER_HOST": "tcp://127.0.0.1:2375"}

    by_socket = engine.Engine("unix:///dev/null", "20.10", buildkit=False)
    assert by_socket.socket == Path("/dev/null")
    assert by_socket.environment == {
        "DOCKER_HOST": "unix:///dev/null",
        "DOCKER_BUILDKIT": "0",
        "DOCKER_GID": "0",
    }


def test_a_client_that_fails_is_quoted() -> None:
    silent = engine.Engine("unix:///no/such.sock", "0", buildkit=True)
    with pytest.raises(CommandFailed, match="docker ps"):
        silent.docker("ps")
