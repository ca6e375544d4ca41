"""What a replica declares: by label, by its own variables, by the agent's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthagent.core.declaration import Candidate, declare, is_enabled
from healthagent.core.notice import Notice
from healthagent.core.options import BY_KEY, OPTIONS, boolean, duration
from healthagent.core.postgres_url import database_of
from healthagent.core.target import DatabaseRef, Pools, Target, Timing

MAIN = DatabaseRef("db", 5432, "main")


def declared(
    settings: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    **found: Any,
) -> tuple[Target, tuple[Notice, ...]]:
    candidate = Candidate(
        id="0123456789abcdef", name="shop-app-1", service="app", settings=settings or {}, **found
    )
    return declare(candidate, {"main": MAIN}, defaults or {})


def target(settings: Mapping[str, str] | None = None, **found: Any) -> Target:
    made, notices = declared(settings, **found)
    assert not notices, f"this should read without a notice: {notices[0]}"
    return made


def notice(settings: Mapping[str, str], **found: Any) -> Notice:
    _, notices = declared(settings, **found)
    assert len(notices) == 1, f"one fault is one notice, got {[str(one) for one in notices]}"
    return notices[0]


class TestAReplicaThatDeclaresNothing:
    def test_has_the_defaults_that_the_docs_promise(self) -> None:
        made = target()
        assert (made.runtime, made.livez, made.readyz) == ("bun", "/livez", "/readyz")
        assert made.timing == Timing(interval=1.0, timeout=0.8, rise=1, fall=2, grace=30.0)
        assert (made.supervise, made.quorum, made.enforce) == ("observe", 1, frozenset())

    def test_has_no_port_pool_database_or_executor_to_judge(self) -> None:
        made = target()
        assert (made.port, made.database, made.executor) == (None, None, None)
        assert made.pools == Pools()

    def test_says_of_each_value_that_it_is_a_default(self) -> None:
        assert set(target().origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("key", "text", "seen", "value"),
    [
        ("runtime", "node", lambda t: t.runtime, "node"),
        ("port", "3000", lambda t: t.port, 3000),
        ("livez", "/health/live", lambda t: t.livez, "/health/live"),
        ("livez", "none", lambda t: t.livez, None),
        ("readyz", "none", lambda t: t.readyz, None),
        ("pool.prisma", "5", lambda t: t.pools.prisma, 5),
        ("pool.dbos", "0", lambda t: t.pools.dbos, 0),
        ("database", "main", lambda t: t.database, MAIN),
        ("dbos.executor", "{container_name}", lambda t: t.executor, "shop-app-1"),
        ("dbos.executor", "{service}-{short_id}", lambda t: t.executor, "app-0123456789ab"),
        ("dbos.executor", "fixed", lambda t: t.executor, "fixed"),
        ("interval", "500ms", lambda t: t.timing.interval, 0.5),
        ("timeout", "2", lambda t: t.timing.timeout, 2.0),
        ("rise", "3", lambda t: t.timing.rise, 3),
        ("fall", "4", lambda t: t.timing.fall, 4),
        ("grace", "1m", lambda t: t.timing.grace, 60.0),
        ("enforce", "pool, dbos", lambda t: t.enforce, frozenset({"pool", "dbos"})),
        ("supervise", "restart", lambda t: t.supervise, "restart"),
        ("quorum", "2", lambda t: t.quorum, 2),
        ("surge", "0", lambda t: t.surge, 0),
        ("retry", "unsent", lambda t: t.traffic.retry, "unsent"),
        ("response", "2s", lambda t: t.traffic.response, 2.0),
        ("slowstart", "30s", lambda t: t.traffic.slowstart, 30.0),
        ("slowstart", "none", lambda t: t.traffic.slowstart, 0.0),
    ],
)
def test_a_label_sets_its_value_and_is_named_as_its_origin(
    key: str, text: str, seen: Any, value: object
) -> None:
    made = target({key: text})
    assert seen(made) == BY_KEY[key].of(made) == value
    assert made.origins[key] == "label"


def test_every_option_is_covered_by_a_label_in_these_tests() -> None:
    marks = test_a_label_sets_its_value_and_is_named_as_its_origin.pytestmark
    tried = {case[0] for case in marks[0].args[1]} | {"enable"}
    assert tried == {option.key for option in OPTIONS}, "give the new option a case above"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("enable", "perhaps"),
        ("runtime", "deno"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "http"),
        ("livez", "livez"),
        ("readyz", "/ready z"),
        ("readyz", "/\x00"),
        ("pool.prisma", "-1"),
        ("pool.dbos", "many"),
        ("database", ""),
        ("dbos.executor", "{host}"),
        ("dbos.executor", "{"),
        ("dbos.executor", "{name.__class__}"),
        ("dbos.executor", "{name:>99999999999}"),
        ("interval", "0"),
        ("interval", "99ms"),
        ("interval", "soon"),
        ("interval", "9" * 400),
        ("timeout", "-1s"),
        ("rise", "0"),
        ("fall", "1.5"),
        ("grace", ""),
        ("enforce", "http"),
        ("supervise", "kill"),
        ("quorum", "0"),
        ("retry", "post"),
        ("response", "none"),
        ("response", "9999999999s"),
        ("slowstart", "0"),
    ],
)
def test_a_value_that_cannot_be_read_is_one_notice_and_the_default_stays(
    key: str, text: str
) -> None:
    if key == "enable":  # read by itself, before anything is declared
        assert not is_enabled({"healthagent.enable": text})
        return
    made, notices = declared({key: text, "livez": "/alive"} if key != "livez" else {key: text})
    plain = target({"livez": "/alive"} if key != "livez" else {})
    assert [(n.about, n.key, n.value) for n in notices] == [
        ("shop-app-1", f"healthagent.{key}", text)
    ]
    assert notices[0].remedy.startswith("write "), "a notice says what to write"
    assert made == plain, "the neighbours of a bad label are untouched"


def test_an_unheard_of_label_is_a_notice_that_names_the_nearest() -> None:
    found = notice({"pool.prism": "5"})
    assert (found.problem, found.remedy) == (
        "is no option",
        "did you mean healthagent.pool.prisma?",
    )


def test_an_unheard_of_label_does_not_tell_its_value_which_may_be_a_password() -> None:
    assert notice({"database_pasword": "hunter2"}).value == ""


def test_a_static_targets_faults_are_spelled_as_its_table_spells_them() -> None:
    assert notice({"intervall": "1s"}, where="[[targets]]").key == "intervall"


class TestAValueByVariable:
    """``env:NAME`` is the container's own variable: the pool's size is spelled once, there."""

    def test_is_read_from_the_containers_environment(self) -> None:
        made = target({"pool.prisma": "env:PRISMA_MAX"}, environment={"PRISMA_MAX": "7"})
        assert made.pools.prisma == 7
        assert made.origins["pool.prisma"] == "label, from its variable PRISMA_MAX"

    def test_that_is_not_set_says_which_variable_is_missing(self) -> None:
        found = notice({"pool.prisma": "env:PRISMA_MAX"})
        assert found.problem == "the replica has no variable PRISMA_MAX"

    def test_that_cannot_be_read_keeps_its_text_to_itself(self) -> None:
        found = notice({"pool.dbos": "env:SECRET"}, environment={"SECRET": "hunter2"})
        assert "hunter2" not in str(found)


class TestThePort:
    TRAEFIK: Mapping[str, str] = {"traefik.http.services.app.loadbalancer.server.port": "3000"}

    def test_comes_from_traefiks_label(self) -> None:
        made = target(routing=self.TRAEFIK, exposed=(9000,))
        assert made.port == 3000
        assert "loadbalancer.server.port" in made.origins["port"]

    @pytest.mark.parametrize("protocol", ["tcp", "udp"])
    def test_is_not_that_of_another_protocols_service(self, protocol: str) -> None:
        other = {f"traefik.{protocol}.services.db.loadbalancer.server.port": "9229"}
        assert target(routing=other, exposed=(3000,)).port == 3000
        assert target(routing={**other, **self.TRAEFIK}).port == 3000
        assert target(routing=other).port is None

    TWO: Mapping[str, str] = {
        "traefik.http.services.admin.loadbalancer.server.port": "9000",
        **TRAEFIK,
    }

    @pytest.mark.parametrize("name", ["app", "app@docker"])
    def test_of_two_services_is_that_of_the_one_the_router_names(self, name: str) -> None:
        made = target(routing={**self.TWO, "traefik.http.routers.site.service": name})
        assert made.port == 3000
        assert made.origins["port"] == "label traefik.http.services.app.loadbalancer.server.port"

    def test_of_two_services_that_are_both_routed_to_is_the_only_one_exposed(self) -> None:
        both = {f"traefik.http.routers.{name}.service": name for name in ("app", "admin")}
        assert target(routing={**self.TWO, **both}, exposed=(3000,)).port == 3000

    @pytest.mark.parametrize("names", [(), ("app", "admin")])
    def test_of_two_services_between_which_nothing_decides_is_a_notice(
        self, names: tuple[str, ...]
    ) -> None:
        routers = {f"traefik.http.routers.{name}.service": name for name in names}
        made, [told] = declared(routing={**self.TWO, **routers}, exposed=(3000, 9000))
        assert made.port is None, "a guess may have the wrong server judged"
        assert str(told) == (
            "shop-app-1: healthagent.port is not declared, and Traefik's services have several: "
            "3000, 9000; declare the port that the app listens on"
        )

    def test_of_the_label_needs_no_decision_between_services(self) -> None:
        assert target({"port": "4000"}, routing=self.TWO).port == 4000

    def test_comes_from_expose_where_one_port_is_exposed(self) -> None:
        made = target(exposed=(3000,))
        assert (made.port, made.origins["port"]) == (3000, "EXPOSE")

    def test_is_not_guessed_where_several_are_exposed_but_asked_for(self) -> None:
        made, [told] = declared(exposed=(3000, 9229))
        assert made.port is None
        assert str(told) == (
            "shop-app-1: healthagent.port is not declared, and the container exposes several: "
            "3000, 9229; declare the port that the app listens on"
        )

    NO_ENDPOINT: Mapping[str, str] = {"livez": "none", "readyz": "none"}

    def test_is_not_asked_for_where_no_endpoint_is_and_nobody_routes_to_it(self) -> None:
        assert target(self.NO_ENDPOINT, exposed=(3000, 9229)).port is None
        _, notices = declared({"livez": "none"}, exposed=(3000, 9229))
        assert len(notices) == 1, "its /readyz is asked"

    def test_is_asked_for_without_endpoints_where_routers_leave_it_open(self) -> None:
        routers = {f"traefik.http.routers.{name}.service": name for name in ("app", "admin")}
        _, notices = declared(self.NO_ENDPOINT, routing={**self.TWO, **routers})
        assert len(notices) == 1

    def test_is_none_where_traefik_routes_to_it_and_none_is_exposed(self) -> None:
        made, notices = declared(routing={"traefik.http.routers.app.rule": "Path(`/`)"})
        assert (made.port, notices) == (None, ())

    def test_is_the_lowest_exposed_where_traefik_would_route_to_that(self) -> None:
        made = target(routing={"traefik.http.routers.app.rule": "Path(`/`)"}, exposed=(9229, 3000))
        assert made.port == 3000
        assert "lowest" in made.origins["port"]

    def test_of_the_label_wins(self) -> None:
        assert target({"port": "4000"}, routing=self.TRAEFIK, exposed=(9000,)).port == 4000

    @pytest.mark.parametrize("text", ["", "http", "²", "99999"])
    def test_of_an_odd_traefik_label_is_passed_over(self, text: str) -> None:
        routing = {"traefik.http.services.app.loadbalancer.server.port": text}
        assert target(routing=routing, exposed=(3000,)).port == 3000


class TestTheDatabase:
    def test_of_a_static_target_comes_from_the_key_that_its_table_has(self) -> None:
        environment = {"DATABASE_URL": "postgresql://db/shop"}
        made = target(environment=environment, where="[[targets]]")
        assert made.origins["database"] == "database_url"

    @pytest.mark.parametrize(
        ("url", "ref"),
        [
            ("postgresql://app:pw@db:5433/shop", DatabaseRef("db", 5433, "shop")),
            ("postgres://db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app@db", DatabaseRef("db", 5432, "app")),
            ("postgresql://app:p@ss@db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app:p:a:s@db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app:p[s]s@db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app:p%2Fs%3F%23@db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app:%%%@db/shop", DatabaseRef("db", 5432, "shop")),
            ("postgresql://app:pw@DB/Shop%20Floor", DatabaseRef("db", 5432, "Shop Floor")),
            ("postgresql://app:pw@[::1]:5433/shop", DatabaseRef("::1", 5433, "shop")),
            (
                "postgresql://app:pw@db/shop?schema=x&connection_limit=5",
                DatabaseRef("db", 5432, "shop"),
            ),
            (
                "postgresql:///shop?host=/run/postgresql",
                DatabaseRef("/run/postgresql", 5432, "shop"),
            ),
        ],
    )
    def test_is_found_in_the_containers_url(self, url: str, ref: DatabaseRef) -> None:
        made = target(environment={"DATABASE_URL": url})
        assert made.database == ref
        assert made.origins["database"] == "DATABASE_URL"

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "db",
            "mysql://app:hunter2@db/shop",
            "postgresql://app:hunter2@/shop",
            "postgresql://app:hunter2@db:http/shop",
            "postgresql://app:hunter2@db:99999/shop",
            "postgresql://app:hunter2#@db/shop",
            "postgresql://db",
            "postgresql://app:hunter2@[::1/shop",
        ],
    )
    def test_of_a_url_that_cannot_be_read_is_a_notice_without_the_password(self, url: str) -> None:
        made, notices = declared(environment={"DATABASE_URL": url})
        assert made.database is None
        assert [n.key for n in notices] == ["DATABASE_URL"]
        assert "hunter2" not in str(notices[0])

    def test_by_name_is_the_agents_own_entry(self) -> None:
        url = {"DATABASE_URL": "postgresql://app:pw@elsewhere/shop"}
        assert target({"database": "main"}, environment=url).database == MAIN

    def test_by_another_name_is_on_the_server_of_the_url(self) -> None:
        url = {"DATABASE_URL": "postgresql://app:pw@elsewhere:5433/shop"}
        made = target({"database": "shop_dbos"}, environment=url)
        assert made.database == DatabaseRef("elsewhere", 5433, "shop_dbos")

    @pytest.mark.parametrize(
        "text", ["postgresql://app:hunter2@db/x", "app:hunter2@db", "host=db password=hunter2"]
    )
    @pytest.mark.parametrize("environment", [{}, {"DATABASE_URL": "postgresql://app:pw@db/shop"}])
    def test_by_what_may_hold_a_password_is_a_notice_that_does_not_tell_it(
        self, text: str, environment: Mapping[str, str]
    ) -> None:
        variables = {**environment, "REPORTS_URL": text}
        made, [told] = declared({"database": "env:REPORTS_URL"}, environment=variables)
        assert (told.value, told.problem) == ("env:REPORTS_URL", "cannot be read")
        assert made == target(environment=variables), "the default must stay"

    def test_by_a_url_in_the_label_itself_is_a_notice_without_its_password(self) -> None:
        assert (
            notice({"database": "postgresql://app:hunter2@db/x"}).value == "postgresql://***@db/x"
        )

    def test_by_a_variables_unknown_name_is_told_by_its_variable(self) -> None:
        found = notice({"database": "env:REPORTS"}, environment={"REPORTS": "hunter2"})
        assert found.value == "env:REPORTS", "nobody knows what else the variable holds"

    def test_by_an_unknown_name_without_a_url_is_a_notice(self) -> None:
        assert notice({"database": "shop"}).problem == "is not one of the agent's databases"


class TestTheAgentsDefaults:
    def test_stand_in_for_a_missing_label(self) -> None:
        made, _ = declared(defaults={"fall": "5"})
        assert made.timing.fall == 5
        assert made.origins["fall"] == "the agent's defaults"

    def test_give_way_to_a_label(self) -> None:
        made, _ = declared({"fall": "3"}, defaults={"fall": "5"})
        assert made.timing.fall == 3

    def test_stand_in_for_a_label_that_cannot_be_read(self) -> None:
        made, notices = declared({"fall": "often"}, defaults={"fall": "5"})
        assert made.timing.fall == 5
        assert len(notices) == 1


def test_a_short_interval_shortens_the_default_deadline() -> None:
    assert target({"interval": "500ms"}).timing.timeout == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("250ms", 0.25), ("1.5", 1.5), ("2m", 120)]
)
def test_a_duration_takes_the_units_that_compose_takes(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "on"])
def test_a_service_is_watched_when_its_label_says_so(text: str) -> None:
    assert boolean(text)
    assert is_enabled({"healthagent.enable": text})


def test_a_service_without_the_label_is_not_watched() -> None:
    assert not is_enabled({})


ANY_SETTINGS = st.dictionaries(
    st.sampled_from([option.key for option in OPTIONS]) | st.text(),
    st.text() | st.text("{}:!.[]%envms0123456789/,-") | st.just("env:X"),
)


@given(
    settings=ANY_SETTINGS,
    defaults=ANY_SETTINGS,
    environment=st.dictionaries(st.sampled_from(["X", "DATABASE_URL"]), st.text()),
    routing=st.dictionaries(st.just("traefik.http.services.a.loadbalancer.server.port"), st.text()),
)
def test_no_text_at_all_makes_declaring_raise(
    settings: Mapping[str, str],
    defaults: Mapping[str, str],
    environment: Mapping[str, str],
    routing: Mapping[str, str],
) -> None:
    made, notices = declared(settings, defaults, environment=environment, routing=routing)
    assert made.name == "shop-app-1"
    assert all(one.problem and one.remedy for one in notices)


@given(st.text(st.characters(blacklist_characters="/?#", blacklist_categories=["Cs"])))
def test_no_password_moves_the_host_of_its_url(password: str) -> None:
    assert database_of(f"postgresql://app:{password}@db:5433/shop") == DatabaseRef(
        "db", 5433, "shop"
    )


@given(st.text())
def test_a_url_is_read_or_refused_and_nothing_else(text: str) -> None:
    for url in (text, f"postgresql://{text}", f"postgresql://a:b@{text}/x", f"postgres://h/{text}"):
        try:
            assert database_of(url).host
        except ValueError:
            continue
