"""A replica's two pools: how large each one is, and whether that is what is declared of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from healthagent.audit.evidence import App, Call, Code, Place, Replica
from healthagent.audit.finding import Finding, met, not_met, not_seen
from healthagent.audit.judgements.options import constant, told, variable
from healthagent.core.observation import Unseen

SMALL = 10
"""Connections up to which a pool counts as small. It is what ``pg.Pool`` (its manual, "pg.Pool",
``max``) and DBOS take where nobody bounds them."""


@dataclass(frozen=True, slots=True)
class Pool:
    """``callee`` makes it, as large as its ``option`` says; the label of its ``key`` declares the
    same, best by the ``variable`` that both go by, such as one of the ``usual`` size."""

    name: str
    key: Literal["prisma", "dbos"]
    variable: str
    usual: int
    callee: str
    option: str

    @property
    def label(self) -> str:
        return f"healthagent.pool.{self.key}"

    def is_declared(self, app: App) -> Finding:
        """By a number, and by the one that the source comes to, as far as that can be followed."""
        label = app.service.labels.get(self.label)
        if label is None:
            return not_met(
                f"{app.service.name} declares no size of {self.name}", app.service.place,
                remedy=f"label it {self.label}: env:{self._read_from(app)}",
            )  # fmt: skip
        name = label.value.removeprefix("env:")
        value = label if name == label.value else told(app, name)
        if value is None and isinstance(app.dockerfile, Unseen):
            return not_seen(app.dockerfile)
        if value is None:
            return not_met(
                f"the label names {name}, which {app.service.name} is not given", label.place,
                remedy=f'set {name}: "{self.usual}" in its environment',
            )  # fmt: skip
        declared = constant(value.value)
        if declared is None:
            return not_met(
                f"the size of {self.name} is declared as {label}, which is no number",
                value.place, remedy=f'write a number, such as "{self.usual}"',
            )  # fmt: skip
        for size, place in self._sizes(app):
            if size not in (None, declared):
                return not_met(
                    f"{self.name} is declared with {declared} connections, and takes {size}",
                    value.place, place, remedy=f"label it {self.label}: env:{self._read_from(app)}",
                )  # fmt: skip
        return met(f"declared by {label}", label.place)

    def is_known(self, replica: Replica) -> Finding:
        """To the agent, which holds the replica against it."""
        size = getattr(replica.pools, self.key)
        if size is None:
            return not_met(
                f"the agent knows no size of {self.name}", replica.place,
                remedy=f"label it {self.label}, and recreate the containers",
            )  # fmt: skip
        return met(f"{self.name} is declared with {size}", replica.place)

    def is_small(self, app: App, code: Code, call: Call) -> Finding:
        size, place = self.size(app, code, call)
        if size is None and isinstance(app.dockerfile, Unseen):
            return not_seen(app.dockerfile)
        if size is None:
            return not_met(
                f"the size of {self.name} comes to no number: {call.options[self.option]}", place,
                remedy=f"{self.option}: Number(process.env.{self.variable} ?? {self.usual})",
            )  # fmt: skip
        if not 0 < size <= SMALL:
            return not_met(
                f"the size of {self.name} is {size}", place,
                remedy=f"take at most {SMALL}; replicas multiply it",
            )  # fmt: skip
        return met(f"{self.name} is small", call.place)

    def size(self, app: App, code: Code, call: Call) -> tuple[int | None, Place]:
        """What the Compose file or the image sets, else the default that the source has."""
        expression = call.options[self.option]
        fixed, read = constant(expression), variable(code.source, expression, call.place)
        if fixed is not None or read is None:
            return fixed, call.place
        name, default = read
        given = told(app, name)
        if given is None or not given.value:
            return default, call.place
        return constant(given.value), given.place

    def _read_from(self, app: App) -> str:
        """The variable that the source has the size from, whatever it is called there; else the
        usual one."""
        if isinstance(app.code, Unseen):
            return self.variable
        source = app.code.source
        bounds = ((call.options.get(self.option, ""), call) for call in source.named(self.callee))
        read = (variable(source, bound, call.place) for bound, call in bounds)
        return next((name for name, _ in filter(None, read)), self.variable)

    def _sizes(self, app: App) -> list[tuple[int | None, Place]]:
        if isinstance(app.code, Unseen):
            return []
        calls = app.code.source.named(self.callee)
        return [self.size(app, app.code, call) for call in calls if self.option in call.options]


PRISMA = Pool("Prisma's pool", "prisma", "PRISMA_POOL_MAX", 5, "Pool", "max")
DBOS = Pool(
    "DBOS's pool", "dbos", "DBOS_POOL_MAX", 3, "DBOS.setConfig", "systemDatabasePoolSize"
)  # fmt: skip
