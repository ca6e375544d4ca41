"""What provision sets up: the images keep the official ones' contract, and projects go whole.

Nothing here asks whether an image was pulled or is a look-alike: both must pass.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provision import __main__ as command_line
from provision import agent, images, owner, projects
from provision import engine as docker_engine
from provision.engine import PROJECT, Engine
from provision.errors import CommandFailed
from provision.paths import ROOT

POSTGRES = f"""
services:
  postgres:
    image: {images.POSTGRES.tag}
    pull_policy: never
    command: ["-c", "max_connections=33"]
    environment:
      POSTGRES_USER: app
      POSTGRES_PASSWORD_FILE: /password
      POSTGRES_DB: quickstart
      WORD: bonjour
    volumes:
      - ./password:/password:ro
      - ./init:/docker-entrypoint-initdb.d:ro
      - data:/var/lib/postgresql/data
    healthcheck:
      test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "app", "-d", "quickstart"]
      interval: 500ms
      retries: 100
volumes:
  data:
"""


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Engine:
    """The engine, with every image of the stack in it."""
    images.ensure(engine)
    return engine


def test_the_agents_image_is_to_be_had_alone(
    stack: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["agent", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agent"] == agent.TAG
    assert stack.image(agent.TAG) is not None


def test_the_agents_image_is_closed_to_its_user_and_holds_nothing_of_this_machine(
    stack: Engine,
) -> None:
    agent.ensure(stack)
    look = 'find /opt /usr /etc ! -type l -writable; grep -rlF -- "$1" /opt || true'
    run = ("run", "--rm", "--network", "none", "--entrypoint", "sh", agent.TAG)
    assert stack.docker(*run, "-c", look, "sh", str(ROOT)).split() == []


def test_the_agents_group_is_no_other_ones(stack: Engine) -> None:
    """The first that useradd gives is on many a host that of the Docker socket."""
    agent.ensure(stack)
    run = ("run", "--rm", "--network", "none", "--entrypoint", "id", agent.TAG)
    assert stack.docker(*run, "-G").split() == ["10001"]


class Project:
    """A Compose project of a test."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.name = owner.new_name("provision")
        self.folder = folder

    def compose(self, *arguments: str) -> str:
        return self.engine.compose(
            "--project-name", self.name, "--project-directory", self.folder, *arguments, timeout=90
        )


@pytest.fixture
def project(stack: Engine, tmp_path: Path) -> Iterator[Project]:
    project = Project(stack, tmp_path)
    yield project
    projects.remove(stack, project.name)


def leftovers(engine: Engine, project: str) -> list[str]:
    label = f"label={PROJECT}={project}"
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [found for kind in kinds for found in engine.docker(*kind, "-q", "-f", label).split()]


def test_an_engine_that_answers_is_used_as_it_is(engine: Engine) -> None:
    assert docker_engine.find() == engine
    assert docker_engine.ensure() == engine
    assert engine.compose("version", "--short").strip(), "`docker compose` answers"


def test_images_that_are_there_are_not_made_again(stack: Engine) -> None:
    def ids() -> list[str]:
        tags = [image.tag for image in images.IMAGES]
        return stack.docker("image", "inspect", "--format", "{{.Id}}", *tags).split()

    before = ids()
    assert set(images.ensure(stack)) == {image.tag for image in images.IMAGES}
    assert ids() == before


def test_postgres_honours_variables_arguments_and_scripts(project: Project) -> None:
    (project.folder / "compose.yaml").write_text(POSTGRES)
    (project.folder / "password").write_text("sesame\n")
    (project.folder / "password").chmod(0o644)
    scripts = project.folder / "init"
    scripts.mkdir()
    (scripts / "1.sql").write_text("CREATE TABLE words (word text);")
    (scripts / "2.sql").write_text("\\getenv w WORD\nINSERT INTO words VALUES (:'w');")

    project.compose("up", "--detach", "--wait")

    def query(sql: str, password: str = "sesame") -> str:
        return project.compose(
            "exec", "-T", "-e", f"PGPASSWORD={password}", "postgres",
            "psql", "-h", "postgres", "-U", "app", "-d", "quickstart", "-Atc", sql,
        ).strip()  # fmt: skip

    assert query("TABLE words") == "bonjour"
    assert query("SHOW max_connections") == "33"
    with pytest.raises(CommandFailed, match="password authentication failed"):
        query("SELECT 1", password="wrong")

    assert project.compose("exec", "-T", "postgres", "cat", "/proc/1/comm").strip() == "postgres"
    project.compose("stop")
    state = project.compose("ps", "--all", "--format", "{{.ExitCode}}").strip()
    assert state == "0", "the stop signal is PostgreSQL's fast shutdown"

    project.compose("up", "--detach", "--wait")
    assert query("SELECT count(*) FROM words") == "1", "the data stays, and no script runs twice"


@pytest.mark.parametrize(
    ("image", "command", "said"),
    [
        (images.BUN, ["bun", "--version"], images.BUN.tag.partition(":")[2].partition("-")[0]),
        (images.BUN, ["-e", "console.log(process.cwd())"], "/home/bun/app"),
        (images.BUN, ["cat", "/proc/1/comm"], "cat"),
        (images.PYTHON, ["python", "-c", "import sys; print(*sys.version_info[:2])"], "3 11"),
        (images.PYTHON, ["python3", "-c", "import ssl, sqlite3, venv; print('whole')"], "whole"),
        (images.TRAEFIK, ["version"], images.TRAEFIK.tag.partition(":v")[2]),
        (images.POSTGRES, ["postgres", "--version"], "(PostgreSQL) 15."),
    ],
)
def test_the_images_run_their_programs(
    stack: Engine, image: images.Image, command: list[str], said: str
) -> None:
    assert said in stack.docker("run", "--rm", "--network", "none", image.tag, *command)


def test_bun_may_run_as_its_own_user(stack: Engine) -> None:
    output = stack.docker("run", "--rm", "--user", "bun", images.BUN.tag, "id", "-u")
    assert output.strip() == "1000"


def test_a_project_goes_with_all_it_made_even_paused(project: Project) -> None:
    (project.folder / "compose.yaml").write_text(POSTGRES.replace("app", "postgres"))
    (project.folder / "password").write_text("sesame\n")
    (project.folder / "password").chmod(0o644)
    (project.folder / "init").mkdir()
    project.compose("up", "--detach")
    project.compose("pause")
    assert len(leftovers(project.engine, project.name)) == 3, "a container, a network, a volume"

    projects.remove(project.engine, project.name)

    assert leftovers(project.engine, project.name) == []
    projects.remove(project.engine, project.name)


def test_two_may_remove_a_project_at_once(project: Project) -> None:
    """As test processes do, each of which sweeps what a killed run left."""
    service = f"image: {images.BUN.tag}\n    pull_policy: never\n    command: [sleep, infinity]"
    (project.folder / "compose.yaml").write_text(
        "services:\n" + "".join(f"  {name}:\n    {service}\n" for name in ("one", "two", "three"))
    )
    project.compose("up", "--detach")

    with ThreadPoolExecutor() as pool:
        removals = [pool.submit(projects.remove, project.engine, project.name) for _ in range(2)]
    for removal in removals:
        removal.result()

    assert leftovers(project.engine, project.name) == []


def test_what_a_killed_run_left_is_swept_and_the_living_stay(project: Project) -> None:
    program = "from provision.owner import new_name; print(new_name('killed'))"
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    for name in (killed, project.name):
        project.engine.docker("volume", "create", "--label", f"{PROJECT}={name}", f"{name}_data")

    projects.sweep(project.engine)

    assert leftovers(project.engine, killed) == []
    assert leftovers(project.engine, project.name) == [f"{project.name}_data"]
