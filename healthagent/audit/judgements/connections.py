"""Connections that can be calculated, and none that hide (NFR-1)."""

from __future__ import annotations

import re

from healthagent.audit.evidence import Agent, App, Code, Place, Replica, Server
from healthagent.audit.finding import Finding, met, not_met, not_seen, resolved, worst
from healthagent.audit.judgements.pools import DBOS, PRISMA
from healthagent.audit.judgements.prisma import pools_of
from healthagent.core.observation import Unseen

_CLIENTS = {
    "postgres": "postgres.js", "pg-promise": "pg-promise", "knex": "Knex", "typeorm": "TypeORM",
    "drizzle-orm/node-postgres": "Drizzle", "sequelize": "Sequelize", "kysely": "Kysely",
    "slonik": "Slonik", "pg-boss": "pg-boss", "graphile-worker": "Graphile Worker",
}  # fmt: skip
"""Clients that open connections of their own."""


def are_declared(app: App) -> Finding:
    return worst((PRISMA.is_declared(app), DBOS.is_declared(app)))


def add_up(agent: Agent) -> Finding:
    unknown = [replica for replica in agent.replicas if replica.pools.total is None]
    if unknown:
        return not_met(
            f"{len(unknown)} of {len(agent.replicas)} replicas declare no pool",
            *(replica.place for replica in unknown),
            remedy="label the service healthagent.pool.prisma and healthagent.pool.dbos",
        )
    names = {replica.name for replica in agent.replicas}
    servers = [server for server in agent.servers if server.replicas & names]
    for server in servers:
        if not server.fits:
            return not_met(
                f"{server.name}: {server.planned} planned and {server.surge} in a rollout do not "
                f"fit {server.allowed}", agent.place,
                remedy="see `healthagent budget`; lower the pools or raise max_connections",
            )  # fmt: skip
    uncounted = names.difference(*(server.replicas for server in servers))
    if uncounted:
        away = agent.outage or f"the agent sees no Postgres server of {min(uncounted)}"
        return not_seen(Unseen(away, "see `healthagent budget`"), agent.place)
    return resolved(", ".join(_sum(server, agent) for server in servers), agent.place)


def _sum(server: Server, agent: Agent) -> str:
    """All that is planned there: replicas that are not the stack's may share the server."""
    ours = [replica for replica in agent.replicas if replica.name in server.replicas]
    declared = sum(replica.pools.total or 0 for replica in ours)
    beside = {
        "other replicas'": server.planned - server.agent - server.others - declared,
        "agent": server.agent,
        "others": server.others,
    }
    terms = [_terms(ours), *(f"{count} {whose}" for whose, count in beside.items() if count)]
    return f"{server.planned} = {' + '.join(terms)} of {server.allowed} at {server.name}"


def _terms(ours: list[Replica]) -> str:
    pools = [replica.pools for replica in ours]
    each = pools[0]
    if len(set(pools)) == 1 and None not in (each.prisma, each.dbos):
        return f"{len(pools)} x ({each.prisma} + {each.dbos})"
    return " + ".join(str(replica.pools.total) for replica in ours)


def has_one_pool(_app: App, code: Code) -> Finding:
    pools = pools_of(code)
    if len(pools) > 1:
        return not_met(
            f"{len(pools)} pools are made", *(pool.place for pool in pools),
            remedy="make one pg.Pool, and share it",
        )  # fmt: skip
    clients = code.source.named("PrismaClient")
    if len(clients) > 1:
        return not_met(
            f"PrismaClient is made in {len(clients)} places", *(c.place for c in clients),
            remedy="make one, and share it",
        )  # fmt: skip
    for call in (*pools, *clients):
        if re.search(r"/routes/|\+(?:page|server|layout)", call.place.where):
            return not_met(
                f"{call.callee} is made where a request is answered", call.place,
                remedy="make it once, in a module under src/lib/server",
            )  # fmt: skip
    for name in code.source.imports:
        if name.value in _CLIENTS:
            return not_met(
                f"{_CLIENTS[name.value]} opens connections that nobody counts", name.place,
                remedy="use the one pg.Pool",
            )  # fmt: skip
    for client in code.source.named("DBOSClient.create"):
        if "systemDatabasePool" not in client.options and not client.spread:
            return not_met(
                "DBOSClient opens a pool of its own", client.place,
                remedy="start workflows by DBOS itself, in the pool that it has",
            )  # fmt: skip
    if not pools:
        none = Unseen("no pool was found in the source", "make one pg.Pool, in a module of its own")
        return not_seen(none, Place(code.folder))
    return met("one pool, and nothing else that connects", pools[0].place)


def within_pool(replica: Replica) -> Finding:
    verdict = replica.checks.get("pool")
    if verdict is None:
        return not_seen(
            Unseen("the agent does not judge its pool", "label it healthagent.pool.prisma"),
            replica.place,
        )
    if verdict.status == "unknown":
        return not_seen(Unseen(verdict.reason, "see `healthagent explain`"), replica.place)
    if verdict.status != "ok":
        return not_met(verdict.reason, replica.place, remedy="see `healthagent budget`")
    held, declared = replica.held, replica.pools.total
    if held is not None and declared is not None and held > declared:
        return not_met(
            f"holds {held} of {declared} declared", replica.place, remedy="see `healthagent budget`"
        )
    return met("holds no more connections than it declares", replica.place)
