"""What every runtime promises the supervisor: the fake and the real Engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from healthagent.core.action import Plan
from healthagent.errors import ActionError
from healthagent.supervisor.docker import DockerRuntime
from healthagent.supervisor.fake import FakeRuntime
from healthagent.supervisor.ports import Container, Image, Runtime
from provision import owner
from provision.engine import PROJECT, Engine
from provision.errors import CommandFailed
from tests.containers import HEARS_SIGTERM, IMAGE, ON_THE_HOST, SLEEP, Containers, containers

NOBODY = "0" * 64

WRITTEN_INTO = f"""
services:
  app:
    image: {IMAGE}
    pull_policy: never
    command: {" ".join(SLEEP)}
    network_mode: none
    secrets: [{{source: word, mode: 0400}}]
    configs: [{{source: line, target: /deep/er}}]
secrets: {{word: {{environment: WORD}}}}
configs: {{line: {{content: sesame}}}}
"""


@dataclass(slots=True)
class Case:
    """A runtime with one container, which runs, and another image for it."""

    runtime: Runtime
    id: str
    name: str
    other: str


@pytest.fixture(scope="module")
def boxes(engine: Engine) -> Iterator[Containers]:
    with containers(engine) as made:
        yield made
        for id_ in made.engine.containers(made.project).values():
            made.engine.remove(id_)
        for tag in made.docker("images", "--format", "{{.Tag}}", _images(made)).split():
            made.docker("rmi", "--force", f"{_images(made)}:{tag}")


@pytest.fixture(params=["fake", "docker"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "fake":
        fake = FakeRuntime(printed="hello\n")
        fake.images["other:local"] = Image("sha256:other")
        fake.images[IMAGE] = Image("sha256:shell", missing=("/healthprobe",))
        fake.put(Container("a" * 64, "app-1", IMAGE, "sha256:shell"))
        return Case(fake, "a" * 64, "app-1", "other:local")
    made: Containers = request.getfixturevalue("boxes")
    other = f"{_images(made)}:other"
    made.docker("tag", IMAGE, other)
    name = owner.new_name("box")
    id_ = made.run(*HEARS_SIGTERM, options=f"--name {name} {ON_THE_HOST}")
    return Case(DockerRuntime(made.engine.host), id_, name, other)


async def test_a_container_is_told(case: Case) -> None:
    found = await case.runtime.inspect(case.id)
    assert (found.id, found.name, found.image) == (case.id, case.name, IMAGE)
    assert found.running
    assert found.grace == 10.0


async def test_one_that_is_stopped_can_be_started_again(case: Case) -> None:
    code = await case.runtime.stop(case.id)
    stopped = await case.runtime.inspect(case.id)
    assert (stopped.running, stopped.exit_code) == (False, code)
    await case.runtime.start(case.id)
    assert (await case.runtime.inspect(case.id)).running


async def test_stopping_and_starting_twice_changes_nothing(case: Case) -> None:
    assert await case.runtime.stop(case.id) == await case.runtime.stop(case.id)
    await case.runtime.start(case.id)
    await case.runtime.start(case.id)
    assert (await case.runtime.inspect(case.id)).running


async def test_a_restart_starts_it_whether_it_ran_or_not(case: Case) -> None:
    await case.runtime.restart(case.id)
    assert (await case.runtime.inspect(case.id)).running
    await case.runtime.stop(case.id)
    await case.runtime.restart(case.id)
    assert (await case.runtime.inspect(case.id)).running


async def test_a_successor_is_foreseen(case: Case) -> None:
    seen = await case.runtime.foresee(case.id, Plan(image=case.other, labels={"a": "b"}))
    assert seen.labels["a"] == "b"
    assert (await case.runtime.inspect(case.id)).running


async def test_a_successor_has_the_name_and_the_plans_image(case: Case) -> None:
    await case.runtime.stop(case.id)
    new = await case.runtime.replace(case.id, Plan(image=case.other))
    found = await case.runtime.inspect(new)
    assert new != case.id
    assert (found.name, found.image, found.running) == (case.name, case.other, False)
    with pytest.raises(ActionError):
        await case.runtime.inspect(case.id)
    await case.runtime.start(new)
    assert (await case.runtime.inspect(new)).running


async def test_one_whose_successor_cannot_be_created_stays(case: Case) -> None:
    await case.runtime.stop(case.id)
    with pytest.raises(ActionError, match="nosuch"):
        await case.runtime.replace(case.id, Plan(image="healthagent/nosuch:local"))
    assert (await case.runtime.inspect(case.id)).name == case.name


async def test_one_that_runs_is_not_replaced(case: Case) -> None:
    with pytest.raises(ActionError):
        await case.runtime.replace(case.id, Plan())
    assert (await case.runtime.inspect(case.id)).running


@pytest.mark.parametrize("stopped", [False, True])
async def test_one_that_was_not_replaced_yet_is_started_again(case: Case, stopped: bool) -> None:
    if stopped:
        await case.runtime.stop(case.id)
    assert (await case.runtime.recover(case.id, case.name)).id == case.id
    assert (await case.runtime.inspect(case.id)).running


async def test_one_whose_successor_has_its_name_already_runs_as_that(case: Case) -> None:
    await case.runtime.stop(case.id)
    new = await case.runtime.replace(case.id, Plan(image=case.other))
    for _ in range(2):
        found = await case.runtime.recover(case.id, case.name)
        assert (found.id, found.name) == (new, case.name)
        assert (await case.runtime.inspect(new)).running


async def test_of_one_that_is_gone_without_a_successor_nothing_comes_back(case: Case) -> None:
    with pytest.raises(ActionError):
        await case.runtime.recover(NOBODY, f"{case.name}-none")


async def test_one_more_can_be_added_and_removed(case: Case) -> None:
    added = await case.runtime.add(case.id, f"{case.name}-more", 2, Plan())
    assert not (await case.runtime.inspect(added)).running
    await case.runtime.start(added)
    with pytest.raises(ActionError):
        await case.runtime.remove(added)
    await case.runtime.stop(added)
    await case.runtime.remove(added)
    with pytest.raises(ActionError):
        await case.runtime.inspect(added)
    assert (await case.runtime.inspect(case.id)).running


async def test_an_image_that_is_there_tells_what_it_lacks(case: Case) -> None:
    found = await case.runtime.image(IMAGE, ("/healthprobe", "/bin/dash"))
    assert found is not None
    assert found.missing == ("/healthprobe",)


async def test_an_image_that_is_not_there_is_none(case: Case) -> None:
    assert await case.runtime.image("healthagent/nosuch:local") is None


async def test_logs_and_stats_can_be_had_while_it_runs(case: Case) -> None:
    assert isinstance(await case.runtime.logs(case.id, 10), str)
    assert await case.runtime.stats(case.id)


async def test_there_are_no_stats_of_one_that_is_stopped(case: Case) -> None:
    await case.runtime.stop(case.id)
    assert await case.runtime.stats(case.id) == {}


async def test_nobody_can_be_acted_on(case: Case) -> None:
    for act in (
        case.runtime.inspect(NOBODY),
        case.runtime.stop(NOBODY),
        case.runtime.start(NOBODY),
        case.runtime.restart(NOBODY),
        case.runtime.replace(NOBODY, Plan()),
        case.runtime.add(NOBODY, "more", 2, Plan()),
        case.runtime.remove(NOBODY),
        case.runtime.logs(NOBODY, 1),
        case.runtime.stats(NOBODY),
    ):
        with pytest.raises(ActionError, match="0000000"):
            await act


# What only a real Engine can show


async def test_the_last_lines_of_both_streams_are_told(boxes: Containers) -> None:
    """The Engine copies each stream by itself, so between the two the order is not sure."""
    id_ = boxes.run("/bin/dash", "-c", "echo one; echo two; echo three >&2")
    boxes.docker("wait", id_)
    runtime = DockerRuntime(boxes.engine.host)
    assert sorted((await runtime.logs(id_, 3)).split()) == ["one", "three", "two"]
    assert len((await runtime.logs(id_, 2)).split()) == 2


async def test_one_that_ignores_sigterm_is_killed(boxes: Containers) -> None:
    options = f"{ON_THE_HOST} --stop-timeout 1"
    id_ = boxes.run("/bin/dash", "-c", "trap '' TERM; while :; do sleep 1; done", options=options)
    assert await DockerRuntime(boxes.engine.host).stop(id_) == 137


@pytest.mark.parametrize("gone", [False, True])
async def test_a_successor_that_waits_for_its_name_is_its_or_goes(
    boxes: Containers, gone: bool
) -> None:
    name = owner.new_name("box")
    old = boxes.run(*HEARS_SIGTERM, options=f"--name {name}")
    new = boxes.create(options=f"--name {old[:12]}_{name}")
    if gone:
        boxes.engine.remove(old)
    found = await DockerRuntime(boxes.engine.host).recover(old, name)
    assert (found.id, found.name) == (new if gone else old, name)
    assert boxes.engine.inspect(name)["Id"] == found.id
    assert boxes.docker("ps", "--all", "--quiet", "--filter", f"name={old[:12]}_").split() == []


async def test_an_engine_that_is_not_there_is_named() -> None:
    with pytest.raises(ActionError, match="no socket /nowhere"):
        await DockerRuntime("unix:///nowhere").start(NOBODY)


async def test_a_successor_has_all_that_the_old_one_had(boxes: Containers) -> None:
    first, second = boxes.network("one"), boxes.network("two")
    name = owner.new_name("whole")
    id_ = boxes.run(
        labels={"com.docker.compose.config-hash": "abc", "own": "label"},
        options=f"--name {name} --network {first} --network-alias app --restart unless-stopped "
        "--volume /data --tmpfs /scratch --env KEPT=1 --env CHANGED=old --memory 64m "
        "--stop-timeout 3 --read-only --cap-drop ALL --publish 127.0.0.1:0:3000 --user 65534",
    )
    boxes.docker("network", "connect", "--alias", "other", second, id_)
    before = boxes.engine.inspect(id_)
    runtime = DockerRuntime(boxes.engine.host)
    assert (await runtime.inspect(id_)).grace == 3.0
    boxes.docker("stop", "--time", "0", id_)
    other = f"{_images(boxes)}:other"
    boxes.docker("tag", IMAGE, other)
    new = await runtime.replace(id_, Plan(other, {"CHANGED": "new"}, {"more": "1"}))
    await runtime.start(new)
    after = boxes.engine.inspect(new)
    assert after["Name"] == before["Name"] == f"/{name}"
    assert after["Config"]["Labels"] == before["Config"]["Labels"] | {"more": "1"}
    assert set(after["Config"]["Env"]) >= {"KEPT=1", "CHANGED=new"}
    assert "CHANGED=old" not in after["Config"]["Env"]
    for key in ("Cmd", "Entrypoint", "User", "StopTimeout", "ExposedPorts"):
        assert after["Config"].get(key) == before["Config"].get(key), key
    assert _aliases(after) == _aliases(before)
    assert _volumes(after) == _volumes(before), "an anonymous volume goes on with its name"
    told = ("RestartPolicy", "Memory", "ReadonlyRootfs", "CapDrop", "Tmpfs", "PortBindings")
    for key in told:
        assert after["HostConfig"][key] == before["HostConfig"][key], key
    assert after["Config"]["Hostname"] == new[:12]


async def test_a_successor_has_what_compose_wrote_into_the_old_one(
    boxes: Containers, tmp_path: Path
) -> None:
    """A secret of a variable and an inline config are in no mount: Compose copies them in."""
    file = tmp_path / "compose.yaml"
    file.write_text(WRITTEN_INTO)
    (tmp_path / ".env").write_text("WORD=open")
    boxes.engine.compose("--project-name", boxes.project, "--file", file, "up", "--detach")
    id_ = boxes.engine.inspect(f"{boxes.project}-app-1")["Id"]
    boxes.docker("exec", id_, "/bin/dash", "-c", "echo mine > /own")
    runtime = DockerRuntime(boxes.engine.host)
    for life in ("the next", "and the one after"):
        boxes.docker("stop", "--time", "0", id_)
        id_ = await runtime.replace(id_, Plan(variables={"LIFE": life}))
        assert _held(boxes, id_, "/run/secrets/word", tmp_path) == ("0400", "open"), life
        assert _held(boxes, id_, "/deep/er", tmp_path) == ("0444", "sesame"), life
        with pytest.raises(CommandFailed):
            _held(boxes, id_, "/own", tmp_path)


async def test_what_the_old_one_had_not_from_its_image_its_successor_has_not(
    boxes: Containers,
) -> None:
    entered = _derived(boxes, "entered", 'ENTRYPOINT ["/bin/dash", "-c"]')
    id_ = boxes.docker(
        "run", "--detach", "--label", f"{PROJECT}={boxes.project}",
        "--entrypoint", "", "--hostname", "shop", "--domainname", "example.com",
        entered, *SLEEP,
    )  # fmt: skip
    runtime = DockerRuntime(boxes.engine.host)
    boxes.docker("stop", "--time", "0", id_)
    after = boxes.engine.inspect(await runtime.replace(id_, Plan(variables={"A": "1"})))
    assert (after["Path"], after["Args"]) == (SLEEP[0], [*SLEEP[1:]]), "its entrypoint was reset"
    assert (after["Config"]["Hostname"], after["Config"]["Domainname"]) == ("shop", "example.com")


async def test_one_more_has_anonymous_volumes_of_its_own(boxes: Containers) -> None:
    """Beside a successor too, to which those of the old one were handed on by name."""
    name = owner.new_name("volumes")
    mount = "--mount type=volume,dst=/mounted"
    id_ = boxes.run(options=f"--name {name} --volume /data {mount} --volume {name}:/shared")
    runtime = DockerRuntime(boxes.engine.host)
    boxes.docker("stop", "--time", "0", id_)
    id_ = await runtime.replace(id_, Plan(variables={"A": "1"}))
    its = _volumes(boxes.engine.inspect(id_))
    more = await runtime.add(id_, f"{name}-2", 2, Plan())
    others = _volumes(boxes.engine.inspect(more))
    assert its.keys() == others.keys() == {"/data", "/mounted", "/shared"}
    assert [where for where in its if its[where] == others[where]] == ["/shared"]
    await runtime.remove(more)
    boxes.engine.remove(id_)
    for volume in its.values():
        boxes.engine.remove_volume(volume)


@pytest.mark.parametrize(
    ("own", "asked", "new"),
    [
        ([], "", 'ENTRYPOINT ["/bin/sleep"]|CMD ["7200"]'),
        ([], "", 'CMD ["/bin/sleep", "7200"]'),
        (["/bin/sleep", "1800"], "", 'ENTRYPOINT ["/bin/env"]|CMD ["7200"]'),
        (["1800"], "--entrypoint /bin/sleep", 'ENTRYPOINT ["/bin/env"]|CMD ["7200"]'),
    ],
)
async def test_a_successor_is_foreseen_as_the_engine_makes_it(
    boxes: Containers, own: list[str], asked: str, new: str
) -> None:
    """What it runs: the container's own command and entrypoint, else the new image's."""
    old = _derived(boxes, "old", 'CMD ["/bin/sleep", "3600"]')
    other = _derived(boxes, "other", *new.split("|"))
    id_ = boxes.docker(
        "run", "--detach", "--label", f"{PROJECT}={boxes.project}", *asked.split(), old, *own
    )
    runtime, plan = DockerRuntime(boxes.engine.host), Plan(other, labels={"a": "b"})
    seen = await runtime.foresee(id_, plan)
    assert (await runtime.inspect(id_)).running, "nothing is done"
    boxes.docker("stop", "--time", "0", id_)
    made = boxes.engine.inspect(await runtime.replace(id_, plan))
    assert seen.command == (made["Path"], *made["Args"])
    assert seen.labels == made["Config"]["Labels"]


async def test_what_came_from_the_old_image_does_not_outlive_it(boxes: Containers) -> None:
    old = _derived(boxes, "old", 'CMD ["/bin/sleep", "3600"]', "ENV VERSION=1 ONLY_OLD=1")
    new = _derived(boxes, "new", 'CMD ["/bin/sleep", "7200"]', "ENV VERSION=2")
    id_ = boxes.docker(
        "run", "--detach", "--label", f"{PROJECT}={boxes.project}",
        "--env", "OWN=1", "--health-interval", "7s", old,
    )  # fmt: skip
    runtime = DockerRuntime(boxes.engine.host)
    assert (await runtime.inspect(id_)).healthcheck == ("CMD", "/old")
    boxes.docker("stop", "--time", "0", id_)
    successor = boxes.engine.inspect(await runtime.replace(id_, Plan(new)))["Config"]
    assert successor["Cmd"] == ["/bin/sleep", "7200"]
    assert {"VERSION=2", "OWN=1"} <= set(successor["Env"])
    assert "ONLY_OLD=1" not in successor["Env"]
    assert successor["Healthcheck"] == {"Test": ["CMD", "/new"], "Interval": 7_000_000_000}
    assert successor["Labels"]["of"] == "new"


async def test_a_tag_that_moved_on_is_not_followed_unasked(boxes: Containers) -> None:
    tag = f"{_images(boxes)}:moving"
    boxes.docker("tag", IMAGE, tag)
    id_ = boxes.docker(
        "run", "--detach", "--label", f"{PROJECT}={boxes.project}", tag,
        "/bin/sleep", "3600",
    )  # fmt: skip
    before = boxes.engine.inspect(id_)["Image"]
    boxes.docker("tag", _derived(boxes, "moved", "ENV A=1"), tag)
    runtime = DockerRuntime(boxes.engine.host)
    boxes.docker("stop", "--time", "0", id_)
    same = await runtime.replace(id_, Plan(variables={"B": "1"}))
    assert boxes.engine.inspect(same)["Image"] == before
    moved = await runtime.replace(same, Plan(image=tag))
    assert boxes.engine.inspect(moved)["Image"] != before


async def test_a_tag_that_is_gone_is_not_missed(boxes: Containers) -> None:
    """As after ``docker rmi`` of a tag, or a prune: what runs has its image still."""
    tag = f"{_images(boxes)}:going"
    boxes.docker("tag", IMAGE, tag)
    id_ = boxes.docker(
        "run", "--detach", "--label", f"{PROJECT}={boxes.project}", tag,
        *SLEEP,
    )  # fmt: skip
    before = boxes.engine.inspect(id_)["Image"]
    boxes.docker("rmi", tag)
    runtime = DockerRuntime(boxes.engine.host)
    boxes.docker("stop", "--time", "0", id_)
    same = await runtime.replace(id_, Plan(variables={"B": "1"}))
    assert boxes.engine.inspect(same)["Image"] == before


def _images(boxes: Containers) -> str:
    """The name of all images that this run makes."""
    return f"healthagent/test-{boxes.project}"


def _derived(boxes: Containers, which: str, *instructions: str) -> str:
    """An image with settings of its own, quickly made and named for this run."""
    tag = f"{_images(boxes)}:{which}"
    changes = [
        word
        for change in (
            *instructions,
            f"LABEL of={which}",
            f'HEALTHCHECK CMD ["/{which}"]',
        )
        for word in ("--change", change)
    ]
    made = boxes.docker("create", IMAGE, "/bin/sleep")
    boxes.docker("commit", *changes, made, tag)
    boxes.docker("rm", made)
    return tag


def _aliases(document: dict[str, Any]) -> dict[str, set[str]]:
    networks = document["NetworkSettings"]["Networks"]
    return {
        name: set(attached["Aliases"] or ()) - {document["Id"][:12]}
        for name, attached in networks.items()
    }


def _held(boxes: Containers, id_: str, path: str, folder: Path) -> tuple[str, str]:
    """The mode and the content of a file in a container, whether that runs or not."""
    copy = folder / "copy"
    copy.unlink(missing_ok=True)
    boxes.docker("cp", "--archive", f"{id_}:{path}", str(copy))
    return f"{copy.stat().st_mode & 0o7777:04o}", copy.read_text()


def _volumes(document: dict[str, Any]) -> dict[str, str]:
    return {mount["Destination"]: mount["Name"] for mount in document["Mounts"]}
