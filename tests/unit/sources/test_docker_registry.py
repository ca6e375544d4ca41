"""Events count at once, inspections correct them, and neither undoes what is newer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthagent.core.observation import ContainerState, Unseen
from healthagent.sources.docker.container import Container, Network, Vantage
from healthagent.sources.docker.event import Event
from healthagent.sources.docker.messages import Heard, Inspected, Surveyed, Untold
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
    state = registry.known[id_].state
    assert isinstance(state, ContainerState), state
    return state.status


def test_a_death_counts_at_once_is_touched_and_asks_for_an_inspection(registry: Registry) -> None:
    assert registry.hear(heard("die", 11.0, exitCode="1")) == ID
    assert status(registry) == "exited"
    assert registry.take_touched() == {ID}
    assert registry.take_touched() == frozenset(), "a touch is told once"


@pytest.mark.parametrize("action", ["oom", "kill", "stop"])
def test_what_is_told_of_one_that_runs_on_mentions_it_and_touches_nothing(
    registry: Registry, action: str
) -> None:
    registry.hear(heard(action, 11.0))
    assert registry.take_touched() == frozenset()
    assert registry.take_mentioned() == {ID}
    assert registry.take_mentioned() == frozenset(), "it is told once"


def test_an_inspection_asked_for_before_a_death_does_not_undo_it(registry: Registry) -> None:
    registry.hear(heard("kill", 11.0))
    registry.hear(heard("die", 11.2, exitCode="137"))
    registry.take(Inspected(11.1, ID, CONTAINER))
    assert status(registry) == "exited"


def test_a_survey_asked_for_before_a_death_does_not_undo_it(registry: Registry) -> None:
    registry.hear(heard("die", 11.2, exitCode="137"))
    registry.take_all(survey(CONTAINER, asked=11.1))
    assert status(registry) == "exited"


def of_project(name: str, id_: str) -> Container:
    labels = {**LABELS, "com.docker.compose.project": name, "com.docker.compose.service": "app"}
    return replace(CONTAINER, id=id_, name=f"{name}-app-1", labels=labels)


def test_a_service_that_two_projects_have_is_told_of() -> None:
    registry = Registry(None, {}, {})
    registry.take_all(survey(of_project("shop", ID), of_project("staging", OTHER), asked=10.0))
    (notice,) = registry.mixed()
    assert (notice.about, notice.key) == ("app", "docker.project"), "one would be rolled with both"
    assert "shop and staging" in notice.problem


def test_a_service_of_one_project_is_as_it_should_be() -> None:
    registry = Registry(None, {}, {})
    registry.take_all(survey(of_project("shop", ID), of_project("shop", OTHER), asked=10.0))
    assert list(registry.mixed()) == []


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


def untold(asked: float, id_: str = ID) -> Untold:
    return Untold(asked, id_, "shop-app-1", "the Engine does not answer within 3 s")


def test_what_is_known_of_a_container_stays_where_the_engine_does_not_tell_of_it(
    registry: Registry,
) -> None:
    before = registry.known[ID]
    registry.take_all(Surveyed(12.0, Vantage(), OWN, (untold(12.0),)))
    assert (registry.known[ID].state, registry.known[ID].target) == (RUNNING, before.target)
    registry.hear(heard("die", 13.0, exitCode="1"))
    registry.take(untold(13.1))
    assert status(registry) == "exited", "an event tells as ever"


def test_one_notice_names_the_container_that_is_not_told_of_until_it_is(registry: Registry) -> None:
    for asked in (12.0, 72.0):
        registry.take(untold(asked))
    (notice,) = registry.known[ID].all_notices
    assert (notice.about, notice.remedy) == (
        "shop-app-1", "try `docker inspect shop-app-1`, and look at the log of dockerd",
    )  # fmt: skip
    assert "does not answer within 3 s" in notice.problem
    registry.take(Inspected(132.0, ID, CONTAINER))
    assert registry.known[ID].all_notices == ()


def test_how_a_container_runs_that_was_started_and_not_told_of_since_is_unseen(
    registry: Registry,
) -> None:
    registry.hear(heard("die", 11.0, exitCode="1"))
    registry.hear(heard("start", 12.0))
    registry.take(untold(12.1))
    state = registry.known[ID].state
    assert isinstance(state, Unseen), "it may run: that it had exited is of before"
    assert state.reason == "the Engine does not answer within 3 s"
    registry.take(Inspected(13.0, ID, CONTAINER))
    assert status(registry) == "running"
    assert ID in registry.take_touched(), "now there is something to look at"


def test_a_container_that_was_never_told_of_is_a_notice_and_no_target() -> None:
    registry = Registry("shop", {}, {})
    registry.take_all(Surveyed(1.0, Vantage(), OWN, (untold(1.0),)))
    known = registry.known[ID]
    assert known.target is None
    assert isinstance(known.state, Unseen)
    assert [notice.about for notice in known.all_notices] == ["shop-app-1"]
    registry.hear(heard("die", 2.0, exitCode="1"))
    assert isinstance(registry.known[ID].state, Unseen), "there is no state that an event could end"


def test_nobody_who_is_destroyed_meanwhile_is_missed(registry: Registry) -> None:
    registry.hear(heard("destroy", 11.0))
    registry.take(untold(10.9))
    assert ID not in registry.known


def test_the_network_that_the_agent_was_told_of_is_traefiks_for_every_replica() -> None:
    both = replace(
        CONTAINER,
        labels={**LABELS, "traefik.http.routers.app.rule": "PathPrefix(`/`)"},
        networks=(Network("back", ("10.9.0.2",), ""), *CONTAINER.networks),
    )
    targets = {}
    for routed in ("front", None):
        registry = Registry("shop", {}, {}, routed)
        registry.take_all(survey(both, asked=10.0))
        known = registry.known[ID]
        assert known.target is not None
        targets[routed] = (known.target.server, [notice.key for notice in known.notices])
    assert targets == {"front": ("10.0.0.2", []), None: ("10.9.0.2", ["traefik.network"])}
