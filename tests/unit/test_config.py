"""Settings: what is read, from where, which wins, and what is said of each fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import pytest

from healthagent.config import Settings
from healthagent.config.shown import rows
from healthagent.config.tables import DATABASE, DEFAULTS, GENERAL, TARGET, Address, Key
from healthagent.core.credentials import Credentials
from healthagent.core.observation import Unseen
from healthagent.core.options import OPTIONS
from healthagent.core.target import DatabaseRef, Pools
from healthagent.errors import ConfigurationError

HERE = Path(__file__).parent
INVALID = sorted((HERE.parent / "invalid" / "config").glob("*.toml"))
DOCS = HERE.parents[1] / "docs" / "configuration.md"
MAIN = DatabaseRef("db", 5432, "main")


class Loading:
    """Loads settings from a text in place of the file and from variables of its own."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "healthagent.toml"

    def __call__(
        self,
        text: str = "",
        variables: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> Settings:
        self.file.write_text(dedent(text), encoding="utf-8")
        return Settings.load(flags=flags, environ=variables or {}, default_file=self.file)

    def faults(self, text: str = "", variables: Mapping[str, str] | None = None) -> tuple[str, ...]:
        with pytest.raises(ConfigurationError) as caught:
            self(text, variables)
        return caught.value.faults


@pytest.fixture
def load(tmp_path: Path) -> Loading:
    return Loading(tmp_path)


@pytest.mark.parametrize("file", INVALID, ids=[file.stem for file in INVALID])
def test_a_fault_is_one_line_that_names_key_value_problem_and_remedy(file: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(file, environ={})
    assert caught.value.faults == (expected.replace("{file}", str(file)),)


def test_no_fault_tells_a_password() -> None:
    told = []
    for file in INVALID:
        with pytest.raises(ConfigurationError) as caught:
            Settings.load(file, environ={})
        told.append(f"{caught.value!r} {caught.value.__context__!r}")
    assert "hunter2" not in "".join(told)


def test_a_variable_that_is_not_utf8_is_a_fault_that_every_json_can_tell(load: Loading) -> None:
    odd = {"HEALTHAGENT_DEFAULTS_DBOS_EXECUTOR": "app-\udcff"}
    told = "defaults.dbos.executor (HEALTHAGENT_DEFAULTS_DBOS_EXECUTOR): is not UTF-8; "
    assert load.faults(variables=odd) == (told + "write it in UTF-8",)
    [notice] = load(variables={"HEALTHAGENT_\udcff": "x"}).notices
    assert notice.key == "HEALTHAGENT_?"


def test_all_faults_of_all_layers_are_told_at_once(load: Loading) -> None:
    text = """
        listen = "nowhere"
        [defaults]
        fall = 0
        [[targets]]
        name = "app"
    """
    keys = [fault.split(" ")[0] for fault in load.faults(text, {"HEALTHAGENT_LOG_LEVEL": "loud"})]
    assert sorted(keys) == ["defaults.fall", "listen", "log.level", "targets[app]"]


class TestWhereItListens:
    @pytest.mark.parametrize(
        ("listen", "public"),
        [
            ("127.0.0.1:9180", "127.0.0.1:9180"),
            (":9180", "127.0.0.1:9180"),
            ("[::1]:9180", ":9180"),
            (":9180", ":9180"),
            ("[::1]:9180", "[::]:9180"),
        ],
    )
    def test_is_told_of_both_listeners_where_one_leaves_the_other_no_place(
        self, load: Loading, listen: str, public: str
    ) -> None:
        (fault,) = load.faults(f'listen = "{listen}"\npublic_listen = "{public}"')
        remedy = "is where listen is too; choose another port for one of them"
        assert fault == f'public_listen = "{public}" ({load.file}): {remedy}'

    def test_is_everywhere_without_a_host(self, load: Loading) -> None:
        assert load('listen = ":9180"').listen.host == "", "0.0.0.0 is IPv4 alone"

    def test_may_be_the_default_for_the_first_one(self, load: Loading) -> None:
        assert len(load.faults('public_listen = "127.0.0.1:9180"')) == 1

    @pytest.mark.parametrize(
        ("listen", "public"),
        [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1:9180", "127.0.0.2:9180"),
            ("0.0.0.0:9180", "[::]:9180"),
        ],
    )
    def test_may_be_two_places(self, load: Loading, listen: str, public: str) -> None:
        assert load(f'listen = "{listen}"\npublic_listen = "{public}"').public_listen

    @pytest.mark.parametrize(
        ("folder", "why"), [("none", "No such file or directory"), ("file", "Not a directory")]
    )
    def test_is_a_fault_where_the_admin_socket_has_no_folder(
        self, load: Loading, tmp_path: Path, folder: str, why: str
    ) -> None:
        (tmp_path / "file").touch()
        (fault,) = load.faults(f'[admin]\nsocket = "{tmp_path}/{folder}/admin.sock"')
        assert fault.startswith(f'admin.socket = "{tmp_path}/{folder}/admin.sock"')
        assert f"{why}; choose a folder that user id" in fault


class TestTheFile:
    def test_need_not_be_there_at_its_default_place(self, tmp_path: Path) -> None:
        settings = Settings.load(environ={}, default_file=tmp_path / "none.toml")
        assert settings.listen == Address("0.0.0.0", 9180)
        assert settings.origins == {}

    def test_that_may_be_at_its_default_place_and_cannot_be_looked_for_is_a_fault(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def closed(self: Path, *_: object, **__: object) -> NoReturn:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "stat", closed)
        monkeypatch.setattr(Path, "read_text", closed)
        with pytest.raises(ConfigurationError, match="Permission denied; name a file that can be"):
            Settings.load(environ={}, default_file=tmp_path / "healthagent.toml")

    def test_must_be_there_where_a_flag_names_it(self, tmp_path: Path) -> None:
        missing = tmp_path / "none.toml"
        with pytest.raises(ConfigurationError, match="No such file"):
            Settings.load(missing, environ={})

    def test_must_be_there_where_a_variable_names_it(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="No such file"):
            Settings.load(environ={"HEALTHAGENT_CONFIG": str(tmp_path / "none.toml")})

    def test_that_is_not_utf8_is_a_fault_and_no_traceback(self, tmp_path: Path) -> None:
        file = tmp_path / "latin1.toml"
        file.write_bytes('listen = "é"'.encode("latin-1"))
        with pytest.raises(ConfigurationError, match="not UTF-8"):
            Settings.load(file, environ={})

    def test_with_a_syntax_error_does_not_hide_the_faults_of_variables(self, load: Loading) -> None:
        assert len(load.faults("listen:", {"HEALTHAGENT_LISTEN": "nowhere"})) == 2


class TestTheLaterWins:
    TEXT = 'listen = "127.0.0.1:1"'

    def test_a_variable_over_the_file(self, load: Loading) -> None:
        settings = load(self.TEXT, {"HEALTHAGENT_LISTEN": "127.0.0.1:2"})
        assert settings.listen.port == 2
        assert settings.origins["listen"] == "HEALTHAGENT_LISTEN"

    def test_a_flag_over_the_variable(self, load: Loading) -> None:
        settings = load(self.TEXT, {"HEALTHAGENT_LISTEN": "127.0.0.1:2"}, {"listen": "127.0.0.1:3"})
        assert settings.listen.port == 3
        assert settings.origins["listen"] == "--listen"

    def test_a_flag_is_named_as_it_is_typed(self, load: Loading) -> None:
        settings = load(self.TEXT, {}, {"public_listen": "127.0.0.1:4"})
        assert settings.origins["public_listen"] == "--public-listen"

    def test_and_the_neighbours_in_its_table_stay(self, load: Loading) -> None:
        settings = load('[docker]\nproject = "shop"', {"HEALTHAGENT_DOCKER_HOST": "tcp://d:2375"})
        assert (settings.docker.project, settings.docker.host) == ("shop", "tcp://d:2375")

    def test_an_empty_variable_counts_as_not_set(self, load: Loading) -> None:
        assert load(self.TEXT, {"HEALTHAGENT_LISTEN": ""}).listen.port == 1


@pytest.mark.parametrize("key", [*GENERAL, *DEFAULTS], ids=lambda key: key.variable)
def test_every_key_can_be_set_by_its_variable(load: Loading, key: Key) -> None:
    examples = {
        "listen": "[::1]:1",
        "public_listen": ":2",
        "log.level": "debug",
        "docker.enabled": "false",
        "docker.host": "tcp://docker:2375",
        "admin.token": "a-token-that-nobody-guesses",
        "traefik.api": "http://traefik:8080",
        "postgres.password_file": "/run/secrets/password",
        "defaults.runtime": "node",
        "defaults.livez": "/l",
        "defaults.readyz": "/r",
        "defaults.enforce": "pool",
        "defaults.supervise": "restart",
        "defaults.retry": "unsent",
        "defaults.interval": "2s",
        "defaults.timeout": "1s",
        "defaults.grace": "1m",
    }
    user = {"HEALTHAGENT_POSTGRES_USER": "agent"} if key.path.startswith("postgres") else {}
    settings = load("", user | {key.variable: examples.get(key.path, "7")})
    assert settings.origins[key.path] == key.variable


class TestDocker:
    def test_is_where_docker_host_says(self, load: Loading) -> None:
        settings = load("", {"DOCKER_HOST": "tcp://docker:2375"})
        assert settings.docker.host == "tcp://docker:2375"
        assert settings.origins["docker.host"] == "DOCKER_HOST"

    def test_of_the_file_wins_over_docker_host(self, load: Loading) -> None:
        text = '[docker]\nhost = "unix:///run/docker.sock"'
        assert load(text, {"DOCKER_HOST": "tcp://d:1"}).docker.host == "unix:///run/docker.sock"

    def test_is_watched_though_its_socket_may_come_later(self, load: Loading) -> None:
        assert load('[docker]\nhost = "unix:///nowhere.sock"').watches_docker

    def test_is_left_alone_where_static_targets_do_and_no_socket_is(self, load: Loading) -> None:
        text = """
            [docker]
            host = "unix:///nowhere.sock"
            [[targets]]
            name = "app"
            url = "http://127.0.0.1:3000"
        """
        assert not load(text).watches_docker

    @pytest.mark.parametrize(("text", "watched"), [("true", True), ("false", False)])
    def test_is_watched_as_told(self, load: Loading, text: str, watched: bool) -> None:
        assert load(f"[docker]\nenabled = {text}").watches_docker is watched


class TestCredentials:
    def test_are_the_general_ones_for_a_database_found_in_a_url(self, load: Loading) -> None:
        variables = {"HEALTHAGENT_POSTGRES_USER": "agent", "HEALTHAGENT_POSTGRES_PASSWORD": "pw"}
        assert load("", variables).credentials(MAIN) == Credentials("agent", "pw")

    def test_are_its_own_for_a_database_with_an_entry(self, load: Loading) -> None:
        text = """
            [postgres]
            user = "agent"
            [databases.main]
            host = "db"
            user = "other"
            password = "pw"
        """
        settings = load(text)
        assert settings.database_refs() == {"main": MAIN}
        assert settings.credentials(MAIN) == Credentials("other", "pw")
        assert settings.credentials(DatabaseRef("db", 5432, "b")) == Credentials("agent")

    def test_are_the_general_ones_where_an_entry_names_no_user(self, load: Loading) -> None:
        text = '[postgres]\nuser = "agent"\n[databases.main]\nhost = "db"'
        assert load(text).credentials(MAIN) == Credentials("agent")

    def test_that_are_missing_say_which_variables_to_set(self, load: Loading) -> None:
        found = load().credentials(MAIN)
        assert isinstance(found, Unseen)
        assert "HEALTHAGENT_POSTGRES_USER" in found.remedy

    def test_from_a_file_follow_the_files_rotation(self, load: Loading, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("first\n")
        settings = load(f'[postgres]\nuser = "agent"\npassword_file = "{file}"')
        assert settings.credentials(MAIN) == Credentials("agent", "first")
        file.write_text("second\n")
        assert settings.credentials(MAIN) == Credentials("agent", "second")

    @pytest.mark.parametrize(
        ("content", "reason"), [(None, "No such file"), (b"\n", "is empty"), (b"\xff", "not UTF-8")]
    )
    def test_from_a_file_that_does_not_serve_are_unseen_with_a_warning(
        self, load: Loading, tmp_path: Path, content: bytes | None, reason: str
    ) -> None:
        file = tmp_path / "password"
        if content is not None:
            file.write_bytes(content)
        settings = load(f'[postgres]\nuser = "agent"\npassword_file = "{file}"')
        found = settings.credentials(MAIN)
        assert isinstance(found, Unseen)
        assert reason in found.reason
        assert [notice.problem for notice in settings.notices] == [found.reason]

    def test_for_a_named_database_may_come_by_variable(self, load: Loading) -> None:
        text = '[databases.shop-floor]\nhost = "db"\nuser = "agent"'
        settings = load(text, {"HEALTHAGENT_DATABASES_SHOP_FLOOR_PASSWORD": "pw"})
        found = settings.credentials(DatabaseRef("db", 5432, "shop-floor"))
        assert found == Credentials("agent", "pw")

    def test_show_their_password_nowhere(self, load: Loading) -> None:
        text = '[postgres]\nuser = "agent"\npassword = "hunter2"'
        settings = load(text)
        shown = f"{settings!r} {settings.credentials(MAIN)!r} {list(rows(settings))}"
        assert "hunter2" not in shown


def test_an_api_with_a_password_is_asked_with_it_and_shown_without(load: Loading) -> None:
    settings = load('[traefik]\napi = "http://admin:hunter2@traefik:8080"')
    assert settings.traefik.api == "http://admin:hunter2@traefik:8080"
    [shown] = [row.value for row in rows(settings) if row.key == "traefik.api"]
    assert shown == "http://***@traefik:8080"


class TestStaticTargets:
    TEXT = """
        [databases.main]
        host = "db"
        [defaults]
        fall = 4
        [[targets]]
        name = "app-1"
        service = "app"
        pid = 42
        url = "http://127.0.0.1:3001"
        database = "main"
        interval = "500ms"
        pool = { prisma = 5, dbos = 3 }
    """

    def test_are_declared_by_the_same_options_as_containers(self, load: Loading) -> None:
        (target,), notices = load(self.TEXT).static_targets()
        assert notices == ()
        assert (target.id, target.service, target.pid) == ("static:app-1", "app", 42)
        assert target.origin == "http://127.0.0.1:3001"
        assert target.pools == Pools(prisma=5, dbos=3)
        assert (target.timing.interval, target.timing.fall) == (0.5, 4)
        assert target.database == MAIN
        assert target.origins["interval"] == "[[targets]]"

    def test_take_dotted_keys_as_well_as_tables(self, load: Loading) -> None:
        text = '[[targets]]\nname = "a"\npid = 1\npool.prisma = 5\n"pool.dbos" = 3'
        (target,), _ = load(text).static_targets()
        assert target.pools == Pools(prisma=5, dbos=3)

    def test_take_a_list_where_a_label_takes_commas(self, load: Loading) -> None:
        text = '[[targets]]\nname = "a"\npid = 1\nenforce = ["pool", "dbos"]'
        (target,), _ = load(text).static_targets()
        assert target.enforce == {"pool", "dbos"}

    def test_take_their_database_from_a_url(self, load: Loading) -> None:
        text = '[[targets]]\nname = "a"\npid = 1\ndatabase_url = "postgres://app:pw@db:5433/shop"'
        (target,), _ = load(text).static_targets()
        assert target.database == DatabaseRef("db", 5433, "shop")

    def test_read_variables_from_their_environment(self, load: Loading) -> None:
        text = """
            [[targets]]
            name = "a"
            pid = 1
            pool.prisma = "env:PRISMA_MAX"
            environment = { PRISMA_MAX = "6" }
        """
        (target,), notices = load(text).static_targets()
        assert (target.pools.prisma, notices) == (6, ())

    def test_are_routed_by_traefiks_own_labels(self, load: Loading) -> None:
        text = """
            [[targets]]
            name = "a"
            url = "http://127.0.0.1:3001"
            traefik.http.routers.a.rule = "PathPrefix(`/`)"
            traefik.http.routers.a.middlewares = ["auth", "zip"]
        """
        (target,), notices = load(text).static_targets()
        assert notices == ()
        assert target.routing == {
            "traefik.http.routers.a.rule": "PathPrefix(`/`)",
            "traefik.http.routers.a.middlewares": "auth,zip",
        }

    def test_do_not_show_traefiks_labels_which_may_hold_passwords(self, load: Loading) -> None:
        text = """
            [[targets]]
            name = "a"
            url = "http://127.0.0.1:3001"
            traefik.http.middlewares.auth.basicauth.users = "admin:hunter2"
        """
        shown = {row.key: row.value for row in rows(load(text))}
        assert shown["targets[a].traefik"] == "***"

    def test_are_seen_by_postgres_under_either_loopback_address(self, load: Loading) -> None:
        (target,), _ = load(self.TEXT).static_targets()
        assert target.addresses == ("127.0.0.1", "::1")

    def test_that_are_not_enabled_are_left_out(self, load: Loading) -> None:
        text = '[[targets]]\nname = "a"\npid = 1\nenable = false'
        assert load(text).static_targets() == ((), ())

    def test_may_leave_their_process_to_a_pidfile(self, load: Loading) -> None:
        settings = load('[[targets]]\nname = "a"\npidfile = "/run/a.pid"')
        (target,), _ = settings.static_targets()
        assert target.pid is None
        assert settings.pidfiles() == {"static:a": Path("/run/a.pid")}


class TestVariablesThatSetNothing:
    def test_are_a_warning_that_names_the_nearest(self, load: Loading) -> None:
        (notice,) = load("", {"HEALTHAGENT_POSTGERS_USER": "agent"}).notices
        assert "HEALTHAGENT_POSTGRES_USER" in notice.remedy

    def test_are_no_warning_where_they_are_the_command_lines(self, load: Loading) -> None:
        assert load("", {"HEALTHAGENT_AGENT_URL": "http://agent:9180"}).notices == ()


def _documented(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the docs, its head left out."""
    section = DOCS.read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def _row(key: Key, name: str) -> list[str]:
    setting = key.setting
    return [f"`{name}`", setting.meaning, setting.expects, setting.default or "none"]


class TestTheDocs:
    def test_list_every_label(self) -> None:
        assert _documented("## Labels") == [
            [f"`{option.label}`", option.meaning, option.expects, option.default]
            for option in OPTIONS
        ]

    def test_list_every_key_of_the_file(self) -> None:
        assert _documented("## The file") == [
            [*_row(key, key.path), f"`{key.variable}`"] for key in (*GENERAL, *DATABASE)
        ]

    def test_list_every_key_of_a_static_target(self) -> None:
        assert _documented("## Static targets") == [
            _row(key, key.path.removeprefix("targets.")) for key in TARGET
        ]
