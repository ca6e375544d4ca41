"""Events count at once, inspections correct them, and neither undoes what is newer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.core.observation import ContainerState
from healthagent.sources.docker.container import Container, Network, Vantage
from healthagent.sources.docker.event import Event
from healthagent.sources.docker.messages import Heard, Inspected, Surveyed
from healthagent.sources.docker.registry import Registry, Survey

ID, OWN, OTHER = "a" * 64, "0" * 64, "b" * 64
LABELS = {"healthagent.enable": "true", "com.docker.compose.project": "shop"}
RUNNING = ContainerState("running", pid=7, started_at=1.0)
CONTAINER = Container(
    ID, "shop-app-1", LABELS, {}, (), (Network("front", ("10.0.0.2",), ""),), "front", RUNNING
)


def heard(action: str, at: float, container: str = ID, **attributes: str) -> Heard:
    return Heard(at, Event(container, action, int(at * 1e9), "", {**LABELS, **attributes}))


def survey(*containers: Container, asked: float) -> Surveyed:
    inspected = tuple(Inspected(asked, container.id, container) for container in containers)
    return Surveyed(asked, Vantage(), OWN, inspected)


@pytest.fixture
def registry() -> Registry:
    """One that knows a running container since time 10."""
    registry = Registry("shop", {}, {})
    registry.take_all(survey(CONTAINER, asked=10.0))
    registry.take_touched()
    return registry


def status(registry: Registry, id_: str = ID) -> str:
    return registry.known[id_].state.status


def test_a_death_counts_at_once_is_touched_and_asks_for_an_inspection(registry: Registry) -> None:
    assert registry.hear(heard("die", 11.0, exitCode="1")) == ID
    assert status(registry) == "exited"
    assert registry.take_touched() == {ID}
    assert registry.take_touched() == frozenset(), "a touch is told once"


def test_an_inspection_asked_for_before_a_death_does_not_undo_it(registry: Registry) -> None:
    registry.hear(heard("kill", 11.0))
    registry.hear(heard("die", 11.2, exitCode="137"))
    registry.take(Inspected(11.1, ID, CONTAINER))
    assert status(registry) == "exited"


def test_a_survey_asked_for_before_a_death_does_not_undo_it(registry: Registry) -> None:
    registry.hear(heard("die", 11.2, exitCode="137"))
    registry.take_all(survey(CONTAINER, asked=11.1))
    assert status(registry) == "exited"


def test_the_first_survey_leaves_out_nobody_who_is_heard_of_meanwhile() -> None:
    registry = Registry("shop", {}, {})
    assert registry.hear(heard("health_status: healthy", 10.5)) == ID
    registry.take_all(survey(CONTAINER, asked=10.0))
    assert ID in registry.known, "the agent's first configuration would go without a well replica"


def test_nobody_who_is_destroyed_meanwhile_is_in_the_first_survey() -> None:
    registry = Registry("shop", {}, {})
    registry.hear(heard("die", 10.4, exitCode="0"))
    registry.hear(heard("destroy", 10.5))
    registry.take_all(survey(CONTAINER, asked=10.0))
    assert ID not in registry.known


def test_an_inspection_asked_for_after_it_corrects_it(registry: Registry) -> None:
    registry.hear(heard("die", 11.0, exitCode="137"))
    registry.take_touched()
    restarting = replace(CONTAINER, state=ContainerState("restarting", exit_code=137))
    registry.take(Inspected(11.1, ID, restarting))
    assert status(registry) == "restarting"
    assert registry.take_touched() == {ID}, "the state differs from what the event told"


def test_an_inspection_that_brings_nothing_new_touches_nothing(registry: Registry) -> None:
    registry.take(Inspected(11.0, ID, CONTAINER))
    assert registry.take_touched() == frozenset()


def test_a_container_that_is_gone_when_it_is_inspected_is_dropped(registry: Registry) -> None:
    registry.take(Inspected(11.0, ID, None))
    assert ID not in registry.known


def test_an_inspection_from_before_the_destruction_does_not_bring_it_back(
    registry: Registry,
) -> None:
    registry.hear(heard("destroy", 11.0))
    registry.take(Inspected(10.9, ID, CONTAINER))
    registry.take_all(survey(CONTAINER, asked=10.95))
    assert ID not in registry.known


def test_a_survey_drops_what_is_not_in_it(registry: Registry) -> None:
    registry.take_all(survey(asked=12.0))
    assert ID not in registry.known


def test_a_survey_keeps_what_was_heard_of_since(registry: Registry) -> None:
    registry.hear(heard("start", 12.0))
    registry.take_all(survey(asked=11.0))
    assert ID in registry.known


def test_a_new_labelled_container_is_inspected(registry: Registry) -> None:
    assert registry.hear(heard("create", 11.0, OTHER)) == OTHER


def test_another_projects_container_is_nothing(registry: Registry) -> None:
    foreign = {"com.docker.compose.project": "blog"}
    assert registry.hear(heard("create", 11.0, OTHER, **foreign)) is None


def test_an_unlabelled_container_is_nothing(registry: Registry) -> None:
    assert registry.hear(Heard(11.0, Event(OTHER, "start", 0, "", {}))) is None


def test_a_known_container_that_joins_a_network_is_inspected(registry: Registry) -> None:
    assert registry.hear(Heard(11.0, Event(ID, "connect", 0, "", {"container": ID}))) == ID


def test_the_agents_own_networks_change_every_address(registry: Registry) -> None:
    asked = registry.hear(Heard(11.0, Event(OWN, "connect", 0, "", {"container": OWN})))
    assert asked == Survey()


def test_a_name_that_changed_is_no_reason_to_look_at_once(registry: Registry) -> None:
    assert registry.hear(heard("rename", 11.0)) == ID
    assert registry.take_touched() == frozenset()


def test_a_container_whose_label_cannot_be_read_is_a_notice_and_no_target() -> None:
    registry = Registry(None, {}, {})
    misspelled = replace(CONTAINER, labels={"healthagent.enable": "ture"})
    registry.take_all(survey(misspelled, asked=1.0))
    known = registry.known[ID]
    assert known.target is None
    assert [notice.key for notice in known.notices] == ["healthagent.enable"]
