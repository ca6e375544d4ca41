"""What is kept of acts and transitions, in one SQLite file, so that it outlives the agent.

Everything here blocks and belongs to one thread; ``history.py`` runs it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from healthagent.core.action import Outcome, Step
from healthagent.core.ports import Entry
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.transition import Transition

VERSION = 1
"""Of the schema, in ``PRAGMA user_version``."""

MEMORY = ":memory:"

WAIT = 1.0
"""Seconds that SQLite tries to get a lock which somebody else holds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that is kept; the oldest goes. Acts outlive transitions, which a fleet that flaps
    writes by the thousand. Bytes are of the documents; the file is some tenths larger."""

    steps: int = 5_000
    transitions: int = 10_000
    evidence: int = 200
    bytes_of_each: int = 8 << 20


_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, at REAL NOT NULL,
    service TEXT NOT NULL, target TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX entries_by_kind ON entries (kind, id);
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, act TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX evidence_by_act ON evidence (act);
CREATE TABLE drains (id TEXT PRIMARY KEY, document TEXT NOT NULL);
"""


class NewerSchema(sqlite3.DatabaseError):
    """The file was written by a later version of healthagent."""


class Damaged(sqlite3.DatabaseError):
    """The file is a database, and parts of it are not what they should be."""

    sqlite_errorname = "SQLITE_CORRUPT"


class Store:
    """One database. Every method may raise ``sqlite3.Error``; what was not committed is as if it
    had never been.

    It keeps a rollback journal and no write-ahead log: the log needs memory that is shared through
    the file system, which a network volume may not have, and little is written here. It locks the
    file as long as it lives, so that a second agent on it is told, and not mixed in.
    """

    def __init__(self, path: Path | None, bounds: Bounds | None = None) -> None:
        self.path = path
        self._bounds = bounds or Bounds()
        name = MEMORY if path is None else str(path)
        self._connection = sqlite3.connect(name, timeout=WAIT, isolation_level=None)
        try:
            self._open()
            if path is not None:
                path.chmod(0o600)  # evidence may hold what the app's users wrote
        except (sqlite3.Error, OSError):
            self._connection.close()
            raise

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = TRUNCATE")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA trusted_schema = OFF")
        self._understand()
        with self.transaction():  # raises where it may not be written, or somebody else does
            execute(f"PRAGMA user_version = {VERSION}")

    def _understand(self) -> None:
        """Make sure that what is there can be gone by; what is empty gets its tables."""
        execute = self._connection.execute
        version = int(execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise NewerSchema(f"its schema is {version}, and this agent knows {VERSION}")
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";"):
                    execute(statement)
        elif (said := execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Damaged(f"it is damaged: {str(said).splitlines()[-1]}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite itself may have rolled it back
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._connection.close()

    def take_over(self, other: Store) -> None:
        """All that another store holds, in place of what is here."""
        self._copy(other._connection)

    def take_over_file(self, path: Path) -> None:
        """All that a file holds that may be read and not written to, nor locked."""
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            self._copy(connection)
        finally:
            connection.close()

    def _copy(self, connection: sqlite3.Connection) -> None:
        connection.backup(self._connection)
        self._understand()

    # Writing, within a transaction

    def add(self, entry: Entry) -> None:
        step = isinstance(entry, Step)
        service, target = (
            (entry.service, entry.target)
            if isinstance(entry, Step)
            else (entry.target.service, entry.target.name)
        )
        self._connection.execute(
            "INSERT INTO entries (kind, at, service, target, document) VALUES (?, ?, ?, ?, ?)",
            ("step" if step else "transition", entry.at, service, target, _written(entry)),
        )

    def add_evidence(self, act: str, document: str) -> None:
        self._connection.execute(
            "INSERT INTO evidence (kind, act, document) VALUES ('evidence', ?, ?)", (act, document)
        )

    def set_drains(self, drains: Mapping[str, Drain]) -> None:
        rows = [(id_, json.dumps(asdict(drain))) for id_, drain in drains.items()]
        self._connection.execute("DELETE FROM drains")
        self._connection.executemany("INSERT INTO drains (id, document) VALUES (?, ?)", rows)

    def prune(self) -> None:
        """Let go of the oldest beyond the bounds."""
        for table, kind, most in (
            ("entries", "step", self._bounds.steps),
            ("entries", "transition", self._bounds.transitions),
            ("evidence", "evidence", self._bounds.evidence),
        ):
            self._connection.execute(
                f"""
                DELETE FROM {table} WHERE kind = ?1 AND id <= (
                    SELECT max(id) FROM (
                        SELECT id, row_number() OVER newest AS number,
                               sum(length(document)) OVER newest AS bytes
                        FROM {table} WHERE kind = ?1 WINDOW newest AS (ORDER BY id DESC)
                    ) WHERE number > ?2 OR bytes > ?3
                )
                """,  # noqa: S608  # names of tables from just above
                (kind, most, self._bounds.bytes_of_each),
            )

    # Reading

    def entries(self, name: str = "", since: float = 0.0, most: int = -1) -> list[Entry]:
        """The last ``most`` about a target or a service, or about all, oldest first."""
        rows = self._connection.execute(
            "SELECT kind, document FROM entries WHERE at >= ?1 AND (?2 = '' OR ?2 IN (target, "
            "service)) ORDER BY id DESC LIMIT ?3",
            (since, name, most),
        ).fetchall()
        return [_read(kind, json.loads(document)) for kind, document in reversed(rows)]

    def steps(self, since: float) -> list[Step]:
        rows = self._connection.execute(
            "SELECT document FROM entries WHERE kind = 'step' AND at >= ? ORDER BY id", (since,)
        ).fetchall()
        return [_step(json.loads(document)) for (document,) in rows]

    def changes(self) -> list[Transition]:
        """Those of whole replicas, oldest first."""
        rows = self._connection.execute(
            "SELECT document FROM entries WHERE kind = 'transition' AND CASE WHEN "
            "json_valid(document) THEN json_extract(document, '$.check') END = '' ORDER BY id"
        ).fetchall()
        return [_transition(json.loads(document)) for (document,) in rows]

    def evidence(self, act: str) -> str | None:
        """The newest of an act, as it was added."""
        row = self._connection.execute(
            "SELECT document FROM evidence WHERE act = ? ORDER BY id DESC LIMIT 1", (act,)
        ).fetchone()
        return None if row is None else str(row[0])

    def drains(self) -> dict[str, Drain]:
        rows = self._connection.execute("SELECT id, document FROM drains").fetchall()
        return {id_: Drain(**json.loads(document)) for id_, document in rows}


def _written(entry: Entry) -> str:
    if isinstance(entry, Step):
        return json.dumps(asdict(entry), default=str)
    target = entry.target
    known = {"id": target.id, "name": target.name, "service": target.service}
    fields = {
        name: getattr(entry, name) for name in ("at", "check", "before", "after", "code", "reason")
    }
    document = {**fields, "target": known, "evidence": dict(entry.evidence)}
    return json.dumps(document, default=str)


def _read(kind: str, document: dict[str, Any]) -> Entry:
    return _step(document) if kind == "step" else _transition(document)


def _transition(document: dict[str, Any]) -> Transition:
    return Transition(**{**document, "target": Target(**document["target"])})


def _step(document: dict[str, Any]) -> Step:
    return Step(**{**document, "outcome": Outcome(document["outcome"])})
