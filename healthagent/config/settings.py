"""The settings that the rest of the agent sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import PrivateAttr, ValidationError

from healthagent.config import faults
from healthagent.config.fault import Fault
from healthagent.config.layers import DEFAULT_FILE, gather
from healthagent.config.static import pidfiles, static_targets
from healthagent.config.tables import SHORTEST_TOKEN, Login, Tables
from healthagent.core.action import ADMIN_SOCKET
from healthagent.core.credentials import Credentials
from healthagent.core.notice import Notice
from healthagent.core.observation import Unseen
from healthagent.core.target import DatabaseRef, Target
from healthagent.errors import ConfigurationError


class Checked(NamedTuple):
    """The settings, or all faults; and the warnings, which stop nothing."""

    settings: Settings | None
    faults: tuple[Fault, ...]
    notices: tuple[Notice, ...]


class Settings(Tables):
    """Everything that was set, checked as a whole.

    ``origins`` names by dotted key where each value was written; a key that is missing there has
    its default. ``notices`` are warnings that stop nothing.
    """

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _notices: tuple[Notice, ...] = PrivateAttr(default=())

    @classmethod
    def load(
        cls,
        config: Path | None = None,
        flags: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        default_file: Path = DEFAULT_FILE,
    ) -> Settings:
        """The settings of this process. ``flags`` are values by dotted key.

        Raises :class:`ConfigurationError` with all faults of all layers at once.
        """
        settings, found, _ = cls.check(config, flags, environ, default_file)
        if settings is None:
            raise ConfigurationError(tuple(map(str, found)))
        return settings

    @classmethod
    def check(
        cls,
        config: Path | None = None,
        flags: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        default_file: Path = DEFAULT_FILE,
    ) -> Checked:
        """As :meth:`load`, with what is wrong as it is made up."""
        gathered = gather(
            config, flags or {}, os.environ if environ is None else environ, default_file
        )
        found = [*gathered.faults, *faults.of_options(gathered), *faults.of_places(gathered)]
        try:
            settings = cls.model_validate(gathered.values)
        except ValidationError as error:
            found += faults.of_schema(error, gathered)
        if found:
            return Checked(None, tuple(found), tuple(gathered.notices))
        settings._origins = gathered.origins
        settings._notices = tuple(gathered.notices)
        return Checked(settings, (), settings.notices)

    @property
    def origins(self) -> Mapping[str, str]:
        return self._origins

    @property
    def notices(self) -> tuple[Notice, ...]:
        token = self.admin_token()
        admin = (Notice("admin", token.reason, token.remedy),) if isinstance(token, Unseen) else ()
        return (
            self._notices
            + admin
            + tuple(
                Notice(name, login.reason, login.remedy)
                for name, table in (("postgres", self.postgres), *self.databases.items())
                if table.user and isinstance(login := _credentials(table, table.user), Unseen)
            )
        )

    @property
    def watches_docker(self) -> bool:
        """Whether to look for containers; the socket may well come later than the agent."""
        if self.docker.enabled is not None:
            return self.docker.enabled
        socket = self.docker.host.removeprefix("unix://")
        return not self.targets or socket == self.docker.host or Path(socket).exists()

    def database_refs(self) -> Mapping[str, DatabaseRef]:
        """The databases of ``[databases]`` by name."""
        return {
            name: DatabaseRef(table.host, table.port, table.dbname or name)
            for name, table in self.databases.items()
        }

    def credentials(self, ref: DatabaseRef) -> Credentials | Unseen:
        """The agent's own role for a database, its password as it is now.

        That of ``[databases]`` where the database has an entry with a user, else ``[postgres]``.
        """
        own = [name for name, other in self.database_refs().items() if other == ref]
        logins: list[Login] = [*(self.databases[name] for name in own), self.postgres]
        for login in logins:
            if login.user is not None:
                return _credentials(login, login.user)
        return Unseen(
            f"the agent has no role of its own for {ref}",
            "set HEALTHAGENT_POSTGRES_USER and HEALTHAGENT_POSTGRES_PASSWORD_FILE",
        )

    def admin_socket(self) -> str | None:
        """Where the admin socket is to be: the default place only where its folder is there."""
        if self.admin.socket is not None:
            return None if self.admin.socket == "none" else self.admin.socket
        folder = Path(ADMIN_SOCKET).parent
        return ADMIN_SOCKET if os.access(folder, os.W_OK) else None

    def admin_token(self) -> Credentials | Unseen | None:
        """The token that lets somebody act, as it is now; ``user`` is its name."""
        if self.admin.token is not None:
            return Credentials("token", self.admin.token.get_secret_value())
        file = self.admin.token_file
        if file is None:
            return None
        text = _secret(file, "token")
        if isinstance(text, Unseen):
            return text
        if len(text) < SHORTEST_TOKEN:
            remedy = f"write {SHORTEST_TOKEN} characters at least"
            return Unseen(f"the token in {file} is too short", remedy)
        return Credentials(f"token {file.stem}", text)

    def static_targets(self) -> tuple[tuple[Target, ...], tuple[Notice, ...]]:
        """The static targets, and a notice for each setting that cannot be read."""
        return static_targets(self.targets, self.database_refs(), self.defaults)

    def pidfiles(self) -> Mapping[str, Path]:
        """The files that name processes of static targets, by the target's id."""
        return pidfiles(self.targets)


def _credentials(login: Login, user: str) -> Credentials | Unseen:
    if login.password_file is None:
        password = login.password
        return Credentials(user, password.get_secret_value() if password else None)
    text = _secret(login.password_file, "password")
    return text if isinstance(text, Unseen) else Credentials(user, text)


def _secret(file: Path, what: str) -> str | Unseen:
    """The one line of a file that holds a secret, as it is now."""
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        return Unseen(
            f"the {what} file {file} cannot be read: {error.strerror}",
            f"let user id {os.geteuid()} read it",
        )
    except UnicodeDecodeError:
        return Unseen(f"the {what} file {file} is not UTF-8", "save it as UTF-8")
    return text or Unseen(f"the {what} file {file} is empty", f"write the {what}")
