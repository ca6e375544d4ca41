"""Prisma 7 on an explicit, small pool that a variable bounds (FR-6, 7.2)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import App, Call, Code, Package, Place
from healthagent.audit.finding import Finding, met, not_met, not_seen, worst
from healthagent.audit.judgements.options import constant, told, variable
from healthagent.audit.judgements.pools import PRISMA
from healthagent.core.observation import Unseen

ADAPTER = "@prisma/adapter-pg"
_POOL = "new Pool({ max: Number(process.env.PRISMA_POOL_MAX ?? 5), ... })"
_CLIENT = "new PrismaClient({ adapter: new PrismaPg(pool) })"
_MAJOR = re.compile(r"\D*(\d+)")


def is_prisma_7(_app: App, _code: Code, package: Package) -> Finding:
    for name in ("@prisma/client", ADAPTER):
        wanted = package.dependencies.get(name)
        if wanted is None:
            return not_met(f"{name} is no dependency", package.place, remedy=f"`bun add {name}@7`")
        major = _MAJOR.match(wanted.value)
        if major and int(major[1]) < 7:
            return not_met(f"{name} is {wanted}", wanted.place, remedy=f"`bun add {name}@7`")
    return met(f"Prisma 7 with {ADAPTER}", package.dependencies[ADAPTER].place)


def uses_adapter(_app: App, code: Code) -> Finding:
    clients = code.source.named("PrismaClient")
    if not clients:
        return _nothing(code, "new PrismaClient(")
    for client in clients:
        if lacks_adapter(client):
            return not_met("PrismaClient is made without an adapter", client.place, remedy=_CLIENT)
    for client in clients:
        if lacks_adapter(client) is None:
            unknown = f"the options of PrismaClient cannot be followed: {_shown(client)}"
            return not_seen(Unseen(unknown, _CLIENT), client.place)
    adapters = code.source.named("PrismaPg")
    if not adapters:
        return not_met(
            "no PrismaPg is made", *(client.place for client in clients),
            remedy=_CLIENT,
        )  # fmt: skip
    return met("PrismaClient has the pg adapter", clients[0].place, adapters[0].place)


def lacks_adapter(client: Call) -> bool | None:
    """``None`` where it may stand where it cannot be followed to."""
    if "adapter" in client.options:
        return False
    literal = not client.arguments or client.arguments[0].startswith("{")
    return True if literal and not client.spread else None


def has_pool(_app: App, code: Code) -> Finding:
    adapters = code.source.named("PrismaPg")
    if not adapters:
        return _nothing(code, "new PrismaPg(")
    for adapter in adapters:
        given = adapter.arguments[0] if adapter.arguments else ""
        if given.startswith("{") or not given:
            return not_met(
                "PrismaPg is given no pg.Pool, and makes one of its own", adapter.place,
                remedy=f"new PrismaPg(pool), with pool = {_POOL}",
            )  # fmt: skip
    pools = code.source.named("Pool")
    if not pools:
        return not_met(
            "no pg.Pool is made in the source", *(a.place for a in adapters), remedy=_POOL
        )
    return met("the adapter is given a pg.Pool", adapters[0].place, pools[0].place)


def pools_of(code: Code) -> tuple[Call, ...]:
    """What makes a pool: ``pg.Pool``, and an adapter that is given options in its place."""
    adapters = code.source.named("PrismaPg")
    own = (call for call in adapters if call.arguments and call.arguments[0].startswith("{"))
    return (*code.source.named("Pool"), *own)


def pool_is_bounded(_app: App, code: Code) -> Finding:
    pools = pools_of(code)
    if not pools:
        return _nothing(code, "new Pool(")
    for pool in pools:
        if "max" not in pool.options:
            if pool.spread or not pool.options:
                return not_seen(
                    Unseen(f"the options of the pool cannot be followed: {_shown(pool)}", _POOL),
                    pool.place,
                )
            return not_met("the pool has no max; pg's default is 10", pool.place, remedy=_POOL)
    return met(f"max: {pools[0].options['max']}", pools[0].place)


def pool_is_small(app: App, code: Code) -> Finding:
    pools = [pool for pool in pools_of(code) if "max" in pool.options]
    if not pools:
        return pool_is_bounded(app, code)
    return worst(PRISMA.is_small(app, code, pool) for pool in pools)


def pool_by_variable(app: App, code: Code) -> Finding:
    pools = [pool for pool in pools_of(code) if "max" in pool.options]
    if not pools:
        return pool_is_bounded(app, code)
    for pool in pools:
        expression = pool.options["max"]
        if constant(expression) is not None:
            return not_met(f"max is fixed: {expression}", pool.place, remedy=_POOL)
        read = variable(code.source, expression, pool.place)
        if read is None:
            return not_seen(
                Unseen(f"where max comes from cannot be followed: {expression}", _POOL), pool.place
            )
        if told(app, read[0]) is None:
            return not_met(
                f"{app.service.name} is not given {read[0]}", pool.place, app.service.place,
                remedy=f'set {read[0]}: "5" in its environment',
            )  # fmt: skip
    return met(f"max: {pools[0].options['max']}", pools[0].place)


def _nothing(code: Code, wanted: str) -> Finding:
    return not_met(f"no `{wanted}` in the source", Place(code.folder), remedy=_CLIENT)


def _shown(call: Call) -> str:
    text = ", ".join(call.arguments).replace("\n", " ")
    return text if len(text) < 60 else f"{text[:57]}..."
