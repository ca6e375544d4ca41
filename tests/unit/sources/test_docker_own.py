"""The agent finds its own container by what its /proc tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.sources.docker.own import has_users_of_machine, own_containers

OURS, APPS = "1" * 64, "2" * 64


@pytest.fixture(autouse=True)
def _no_containers_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "build-server")


def proc(folder: Path, *, mountinfo: str = "", cgroup: str = "") -> str:
    (folder / "self").mkdir()
    (folder / "self" / "mountinfo").write_text(mountinfo)
    (folder / "self" / "cgroup").write_text(cgroup)
    return str(folder)


def mounted(id_: str, file: str) -> str:
    path = f"/var/lib/docker/containers/{id_}/{file}"
    return f"95 77 254:0 {path} /etc/{file} rw,relatime - ext4 /dev/vda rw\n"


def test_docker_mounts_the_hostname_from_a_folder_named_by_the_id(tmp_path: Path) -> None:
    assert own_containers(proc(tmp_path, mountinfo=mounted(OURS, "hostname"))) == (OURS,)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"0::/docker/{OURS}\n", id="v2, cgroupfs"),
        pytest.param(f"0::/system.slice/docker-{OURS}.scope\n", id="v2, systemd"),
        pytest.param(f"9:memory:/docker/{OURS}\n8:pids:/docker/{OURS}\n", id="v1"),
    ],
)
def test_the_cgroup_tells_the_id(tmp_path: Path, line: str) -> None:
    assert own_containers(proc(tmp_path, cgroup=line)) == (OURS,)


def test_the_container_whose_network_is_shared_comes_first(tmp_path: Path) -> None:
    folder = proc(tmp_path, mountinfo=mounted(APPS, "hosts"), cgroup=f"0::/docker/{OURS}\n")
    assert own_containers(folder) == (APPS, OURS)


def test_a_default_host_name_is_the_beginning_of_the_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "5f9e514cb061")
    assert own_containers(proc(tmp_path)) == ("5f9e514cb061",)


def test_on_the_host_there_is_none(tmp_path: Path) -> None:
    assert own_containers(proc(tmp_path, cgroup="0::/user.slice\n")) == ()


def test_no_proc_at_all_is_no_error(tmp_path: Path) -> None:
    assert own_containers(str(tmp_path)) == ()


@pytest.mark.parametrize(
    ("uid_map", "machines"),
    [
        ("         0          0 4294967295\n", True),
        ("         0       1000          1\n         1     165536      65536\n", False),
    ],
    ids=["the machine's", "a rootless Engine's"],
)
def test_whose_users_it_has_is_known(tmp_path: Path, uid_map: str, machines: bool) -> None:
    folder = proc(tmp_path)
    (tmp_path / "self" / "uid_map").write_text(uid_map)
    assert has_users_of_machine(folder) is machines
