"""What can be written: the tables of healthagent.toml, each key with its type and its text.

A key is spelled once, here: the variable, the text of an error and the page in the docs follow.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    model_validator,
)

from healthagent.core import options
from healthagent.core.action import ADMIN_SOCKET
from healthagent.core.postgres_url import database_of
from healthagent.core.target import authority

Path = tuple[str | int, ...]
"""A place in the file: the names of tables and keys, and the numbers of ``[[targets]]``."""

SHORTEST_TOKEN = 16

DOCKER_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a key is for. ``expects`` completes *write ...*; ``default`` is for the docs.

    The value of a ``secret`` key is never shown.
    """

    expects: str
    meaning: str
    default: str = ""
    secret: bool = False


class Address(NamedTuple):
    """Where to listen. An empty host is every interface, IPv4 and IPv6; port 0 any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return authority(self.host, self.port)


def address(text: object) -> Address:
    matched = re.fullmatch(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\s:/\[\]]*)):(\d{1,5})", str(text))
    if matched is None or int(matched[3]) > 65535:
        raise ValueError("is no address")
    return Address(matched[1] or matched[2], int(matched[3]))


def origin(text: object) -> str:
    """``http://HOST:PORT`` of an app, the port written out."""
    parts = urlsplit(str(text))
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme != "http" or not parts.hostname or not plain:
        raise ValueError("is no origin of an app")
    return f"http://{authority(parts.hostname, parts.port or 80)}"


def docker_host(text: object) -> str:
    if re.fullmatch(r"(unix:///|(tcp|https?)://[^/\s]).*", str(text)) is None:
        raise ValueError("is no address of an Engine")
    return str(text)


def automatic(value: object) -> bool | None:
    """``None`` for *auto*."""
    return None if value == "auto" else options.boolean(str(value))


def postgres_url(text: object) -> str:
    database_of(str(text))
    return str(text)


def text_of(read: Callable[[str], object]) -> BeforeValidator:
    """A key that TOML may hold as a number, and a variable only as text."""
    return BeforeValidator(lambda value: read(str(value)))


def texts(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Option keys and their texts, from dotted keys and nested tables alike."""
    for key, value in table.items():
        match value:
            case Mapping():
                yield from texts(value, f"{prefix}{key}.")
            case bool():
                yield prefix + key, str(value).lower()
            case list():
                yield prefix + key, ",".join(str(part) for part in value)
            case _:
                yield prefix + key, str(value)


def flat(table: object) -> object:
    return dict(texts(table)) if isinstance(table, Mapping) else table


Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, text_of(options.port)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Docker(Table):
    enabled: Annotated[
        bool | None,
        BeforeValidator(automatic),
        Setting(
            "auto, true or false",
            "look for containers; auto does unless the socket is missing and targets are given",
            "auto",
        ),
    ] = None
    host: Annotated[
        str,
        BeforeValidator(docker_host),
        Setting(
            "unix:///PATH or tcp://HOST:PORT", "the Engine", f"`DOCKER_HOST`, else {DOCKER_SOCKET}"
        ),
    ] = DOCKER_SOCKET
    project: Annotated[
        Text | None,
        Setting("a Compose project's name", "watch this Compose project only", "all"),
    ] = None


class Login(Table):
    """A role of the agent's own. Where its password is in a file, the file may change."""

    user: Annotated[Text | None, Setting("a role's name", "the agent's own role")] = None
    password: Annotated[SecretStr | None, Setting("a text", "its password", secret=True)] = None
    password_file: Annotated[
        pathlib.Path | None,
        Setting("a file's path", "the file that holds it, read again at each new connection"),
    ] = None

    @model_validator(mode="after")
    def _one_password(self) -> Login:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both set; keep one of them")
        if self.user is None and (self.password or self.password_file):
            raise ValueError("a password without a user; set user as well")
        return self


class Postgres(Login):
    """For every database that is found in a replica's DATABASE_URL."""


def url(text: object) -> str:
    """``http://HOST:PORT`` or with https, perhaps with the beginning of a path."""
    parts = urlsplit(str(text))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is no URL")
    return str(text).rstrip("/")


def secret(text: object) -> str:
    """A token that nobody guesses."""
    if len(str(text)) < SHORTEST_TOKEN or not str(text).isprintable() or " " in str(text):
        raise ValueError("is no token")
    return str(text)


class Admin(Table):
    """Who may act. Over the socket it is whoever may open it."""

    socket: Annotated[
        Text | None,
        Setting(
            "a socket's path, or none",
            "where to ask the agent to act, without a token",
            f"{ADMIN_SOCKET} where its folder is there",
        ),
    ] = None
    token: Annotated[
        SecretStr | None,
        BeforeValidator(secret),
        Setting(
            f"a text of {SHORTEST_TOKEN} characters at least, without blanks",
            "what lets somebody act over `listen`",
            secret=True,
        ),
    ] = None
    token_file: Annotated[
        pathlib.Path | None,
        Setting("a file's path", "the file that holds it, read each time; its name is the token's"),
    ] = None

    @model_validator(mode="after")
    def _one_token(self) -> Admin:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set; keep one of them")
        return self


class Traefik(Table):
    """How Traefik reaches replicas, and how an act learns that it has a change."""

    network: Annotated[
        str | None,
        Setting(
            "a network's name, as in the Compose file or as Docker has it",
            "the network by which Traefik reaches replicas that are on several, "
            "as its providers.docker.network",
        ),
    ] = None

    api: Annotated[
        str | None,
        BeforeValidator(url),
        Setting(
            "http://HOST:PORT or https://HOST:PORT",
            "Traefik's API, to be asked whether it has a change",
        ),
    ] = None
    throttle: Annotated[
        float,
        text_of(options.duration),
        Setting("a duration such as 100ms", "its providers.providersThrottleDuration", "2s"),
    ] = 2.0
    poll: Annotated[
        float,
        text_of(options.duration),
        Setting(
            "a duration such as 5s",
            "how long it takes to hear of a change where it does not poll `/traefik`",
            "5s",
        ),
    ] = 5.0


class Drain(Table):
    """How drains, restarts and rolls go on."""

    longest: Annotated[
        float,
        text_of(options.duration),
        Setting(
            "a duration such as 30s",
            "the longest that requests in flight are waited for before a stop",
            "30s",
        ),
    ] = 30.0


class Database(Login):
    host: Annotated[Text, Setting("a host's name or address", "the server")]
    port: Annotated[Port, Setting("a port from 1 to 65535", "its port", "5432")] = 5432
    dbname: Annotated[
        Text | None, Setting("a database's name", "the database", "NAME of the table")
    ] = None


class StaticTarget(Table):
    """A replica that no Docker tells of. What is no key of its own here is an option's."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[Text, Setting("a name that no other target has", "what it is called")]
    service: Annotated[Text | None, Setting("a name", "the service it is of", "its name")] = None
    pid: Annotated[PositiveInt | None, Setting("a process id", "its process")] = None
    pidfile: Annotated[
        pathlib.Path | None,
        Setting("a file's path", "the file that holds its process id, read each time"),
    ] = None
    url: Annotated[
        str | None,
        BeforeValidator(origin),
        Setting("http://HOST:PORT, with no path", "where it serves HTTP"),
    ] = None
    addresses: Annotated[
        tuple[Text, ...],
        Setting("a list of IP addresses", "what Postgres sees it under", "the host of url"),
    ] = ()
    database_url: Annotated[
        SecretStr | None,
        BeforeValidator(postgres_url),
        Setting(
            "postgresql://HOST:PORT/NAME",
            "the database it uses; a password in it is not used",
            secret=True,
        ),
    ] = None
    environment: Annotated[
        dict[str, str],
        Setting("a table of texts", "its variables, for options that read `env:NAME`", secret=True),
    ] = Field(default_factory=dict, repr=False)
    traefik: Annotated[
        dict[str, str],
        BeforeValidator(flat),
        Setting(
            "a table of Traefik's labels, without `traefik.`",
            "how Traefik routes to it",
            secret=True,
        ),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_seen(self) -> StaticTarget:
        if self.pid is not None and self.pidfile is not None:
            raise ValueError("pid and pidfile are both set; keep one of them")
        if self.pid is None and self.pidfile is None and self.url is None:
            raise ValueError("nothing to look at; set url, pid or pidfile")
        return self

    @property
    def options(self) -> Mapping[str, str]:
        return dict(texts(self.model_extra or {}))


class Log(Table):
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting("debug, info, warning or error", "the least that is logged", "info"),
    ] = "info"


class Supervisor(Table):
    """How restarts are made where a label allows them, and where it is kept what was done."""

    state: Annotated[
        pathlib.Path | None,
        Setting(
            "a directory, or a file in one",
            "where the history is kept over restarts of the agent",
            "/var/lib/healthagent where the agent may write to it, else memory",
        ),
    ] = None
    patience: Annotated[
        float,
        text_of(options.duration),
        Setting(
            "a duration such as 1s or 500ms",
            "how long a replica must have been dead before it is restarted",
            "5s",
        ),
    ] = 5.0
    restarts: Annotated[
        int,
        text_of(options.count),
        Setting("a whole number from 1 on", "the most restarts of one replica within an hour", "5"),
    ] = 5


class Tables(Table):
    """The whole file."""

    listen: Annotated[
        Address,
        BeforeValidator(address),
        Setting("HOST:PORT such as 127.0.0.1:9180", "where the agent serves HTTP", "0.0.0.0:9180"),
    ] = Address("0.0.0.0", 9180)  # noqa: S104 in a container, where only its networks reach it
    public_listen: Annotated[
        Address | None,
        BeforeValidator(address),
        Setting(
            "HOST:PORT such as 0.0.0.0:9181",
            "a second listener that tells states only, no reasons",
            "none",
        ),
    ] = None
    log: Log = Log()
    docker: Docker = Docker()
    supervisor: Supervisor = Supervisor()
    admin: Admin = Admin()
    traefik: Traefik = Traefik()
    drain: Drain = Drain()
    postgres: Postgres = Postgres()
    databases: dict[str, Database] = Field(default_factory=dict)
    defaults: Annotated[dict[str, str], BeforeValidator(flat)] = Field(default_factory=dict)
    targets: tuple[StaticTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file: ``path`` is dotted, with ``NAME`` where the user names a table."""

    path: str
    setting: Setting

    @property
    def variable(self) -> str:
        """The variable that sets it."""
        return "HEALTHAGENT_" + self.path.upper().replace(".", "_")


def _keys(table: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    for name, field in table.model_fields.items():
        setting = next((part for part in field.metadata if isinstance(part, Setting)), None)
        if setting is not None:
            yield Key(prefix + name, setting)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


def _options(prefix: str) -> Iterator[Key]:
    for option in options.OPTIONS:
        yield Key(prefix + option.key, Setting(option.expects, option.meaning, option.default))


GENERAL: tuple[Key, ...] = tuple(_keys(Tables))
DATABASE: tuple[Key, ...] = tuple(_keys(Database, "databases.NAME."))
DEFAULTS: tuple[Key, ...] = tuple(
    key for key in _options("defaults.") if key.path != "defaults.enable"
)
TARGET: tuple[Key, ...] = tuple(_keys(StaticTarget, "targets."))
KEYS: Mapping[str, Key] = {
    key.path: key for key in (*GENERAL, *DATABASE, *DEFAULTS, *TARGET, *_options("targets."))
}


def key_of(path: Path) -> Key | None:
    """The key that a place in the file is at or within, where there is one."""
    match path:
        case ("databases", _, *rest):
            path = ("databases", "NAME", *rest)
        case ("targets", _, *rest):
            path = ("targets", *rest)
    spelled = [".".join(str(part) for part in path[:n]) for n in range(len(path), 0, -1)]
    return next((KEYS[text] for text in spelled if text in KEYS), None)
