"""The document's requirements as one table, in its order; each sentence with SHALL is a row.

The document is the System Requirements Document "Bun Runtime Migration & Container-Native Scaling",
version 1.0. A row's id is the document's own number, with the number of the sentence behind it.
"""

from __future__ import annotations

from healthagent.audit.judgements import (
    connections,
    dbos,
    health,
    migration,
    observability,
    packages,
    prisma,
    processes,
    runtime,
    scaling,
)
from healthagent.audit.judgements.pools import DBOS, PRISMA
from healthagent.audit.looking import (
    agents,
    app_images,
    apps,
    attested,
    codes,
    containers,
    dockerfiles,
    image_launches,
    images,
    launches,
    replicas,
    trees,
    watched,
)
from healthagent.audit.looking import packages as of_package
from healthagent.audit.requirement import Look, Requirement, built, files, live

_PM2_FREE = (
    launches(processes.no_pm2_started),
    *built(apps(processes.no_pm2_installed), images(processes.image_has_no_pm2)),
    apps(processes.no_pm2_in_scripts),
    files(migration.no_pm2_beside),
)
_ROUTES_BY_HEALTH = files(health.routes_by_health)

_REQUIREMENTS = (
    Requirement(
        "1.2.1",
        "No PM2 in development, test or production",
        (of_package(processes.no_pm2_packages), codes(processes.no_pm2_in_source), *_PM2_FREE),
    ),
    Requirement(
        "FR-1.1",
        "Bun is the runtime",
        (
            *built(launches(runtime.starts_bun), image_launches(runtime.starts_bun)),
            trees(runtime.runs_bun),
        ),
    ),
    Requirement(
        "FR-1.2",
        "Production needs no Node",
        (
            launches(runtime.needs_no_node),
            *built(dockerfiles(runtime.brings_no_node), images(runtime.image_has_no_node)),
            trees(runtime.runs_no_node),
        ),
    ),
    Requirement("FR-2.1", "Bun is the package manager", (of_package(packages.manager),)),
    Requirement(
        "FR-2.2",
        "bun.lockb is the authoritative lock file",
        (of_package(packages.lock),),
        contradiction="Bun writes bun.lock since 1.2, and bun.lockb no longer: either counts, as "
        "long as it is the only lock file, agrees with package.json, and installs are frozen.",
    ),
    Requirement(
        "FR-3.1",
        "Exactly one application process per container",
        (launches(processes.starts_one), trees(processes.runs_one)),
        contradiction="7.1.2 asks for `bun run start`, which stays beside the app as a process of "
        "its own: it launches and waits, and does not count as an application process.",
    ),
    Requirement(
        "FR-3.2",
        "No clustering and no workers inside the process",
        (codes(processes.no_clustering), launches(processes.no_cluster_flags)),
    ),
    Requirement(
        "FR-4.1",
        "Scales by Compose replicas",
        (
            apps(scaling.can_have_replicas),
            files(scaling.is_one_service),
            live(scaling.scales_live),
        ),
    ),
    Requirement("FR-4.2", "Scaling needs no change of code", (apps(scaling.needs_no_code),)),
    Requirement(
        "FR-5.1",
        "Exactly one DBOS executor per container",
        (of_package(dbos.is_there), replicas(dbos.executor_live)),
    ),
    Requirement("FR-5.2", "DBOS is initialised once per process", (codes(dbos.launched_once),)),
    Requirement(
        "FR-5.3",
        "The executor's identity is deterministic per container",
        (
            codes(dbos.identity),
            apps(dbos.identity_is_declared),
            replicas(dbos.identity_live),
        ),
    ),
    Requirement("FR-6.1", "Prisma uses the pg driver adapter", (codes(prisma.uses_adapter),)),
    Requirement(
        "FR-6.2",
        "Prisma's pool has an explicit maximum per container",
        (
            codes(prisma.pool_is_bounded),
            apps(PRISMA.is_declared),
            replicas(PRISMA.is_known),
        ),
    ),
    Requirement("FR-6.3", "The default pool is small and bounded", (codes(prisma.pool_is_small),)),
    Requirement(
        "FR-7.1",
        "There is a liveness endpoint",
        (codes(health.endpoint("livez")), agents(health.answers("event_loop"))),
    ),
    Requirement(
        "FR-7.2",
        "There is a readiness endpoint",
        (codes(health.endpoint("readyz")), agents(health.answers("http"))),
    ),
    Requirement(
        "FR-7.3",
        "Docker enforces health by HEALTHCHECK",
        (
            *built(apps(health.enforces_health), app_images(health.image_has_healthcheck)),
            watched(health.is_checked),
        ),
        contradiction="Docker enforces nothing by HEALTHCHECK: it marks a container unhealthy and "
        "never restarts it, whatever `restart` says. What acts on the mark is the routing (8.3).",
    ),
    Requirement(
        "FR-7.4",
        "Traefik routes to healthy containers alone",
        (_ROUTES_BY_HEALTH, attested(health.routed_are_ready)),
    ),
    Requirement(
        "NFR-1.1",
        "Connections are replicas x (Prisma pool + DBOS pool)",
        (apps(connections.are_declared), agents(connections.add_up)),
        contradiction="Who watches the sum needs a connection too, and a rollout runs one replica "
        "more for a while: the agent's own connection and the surge stand beside the product.",
    ),
    Requirement(
        "NFR-1.2",
        "No connections that are hidden or implicit",
        (codes(connections.has_one_pool), replicas(connections.within_pool)),
    ),
    Requirement(
        "NFR-2.1",
        "One replica's failure does not touch the others",
        (
            apps(processes.is_apart),
            containers(processes.is_apart_live),
            attested(processes.others_serve),
        ),
    ),
    Requirement(
        "NFR-2.2",
        "The container ends with its application process",
        (
            launches(processes.ends_with_its_app),
            codes(processes.lets_it_end),
            trees(processes.ends_live),
        ),
    ),
    Requirement(
        "NFR-3.1",
        "OpenTelemetry works without PM2",
        (
            of_package(observability.has_telemetry),
            codes(observability.uses_telemetry),
            containers(observability.is_told_where_live),
        ),
    ),
    Requirement(
        "NFR-3.2",
        "Logs go to stdout and stderr",
        (
            codes(observability.writes_no_files),
            launches(observability.redirects_nothing),
            apps(observability.keeps_logs),
            containers(observability.logs_live),
        ),
    ),
    Requirement(
        "NFR-3.3",
        "Metrics can be exported per container",
        (apps(observability.is_told_where), live(observability.metrics_arrive)),
    ),
    Requirement(
        "NFR-4.1",
        "The runtime can be rolled back to Node",
        (files(migration.goes_back), codes(migration.runs_on_node_too)),
        contradiction="FR-1.2 wants no Node in production: so the way back is an image and a "
        "Compose file of its own, and the image that runs holds Bun alone.",
    ),
    Requirement(
        "NFR-4.2",
        "The package manager can be reverted apart from the runtime",
        (of_package(packages.reversible),),
    ),
    Requirement("7.1.1", "The version of Bun is pinned", (dockerfiles(runtime.bun_is_pinned),)),
    Requirement(
        "7.1.2",
        "The entry command is `bun run start`",
        (launches(runtime.enters_by_bun_run),),
        contradiction="8.1.1 wants the app to be PID 1, but `bun run` does not execute its script: "
        "measured with Bun 1.4.4 it stays PID 1, and with dash a shell between the two swallows "
        'SIGTERM. Accepted: `bun run start` with "start": "exec bun ...", where the app is its '
        'direct child and gets the signal, or CMD ["bun", FILE], where the app is PID 1.',
    ),
    Requirement(
        "7.1.3",
        "Bun runs TypeScript natively, without ts-node",
        built(launches(runtime.runs_typescript_itself), images(runtime.image_has_no_transpiler)),
    ),
    Requirement("7.2.1", "Prisma 7 uses @prisma/adapter-pg", (of_package(prisma.is_prisma_7),)),
    Requirement("7.2.2", "The pool is configured by pg.Pool", (codes(prisma.has_pool),)),
    Requirement("7.2.3", "A variable sets the pool's maximum", (codes(prisma.pool_by_variable),)),
    Requirement("7.3.1", "DBOS is configured by DBOS.setConfig()", (codes(dbos.configured),)),
    Requirement(
        "7.3.2",
        "DBOS's system pool is bounded",
        (codes(dbos.pool_is_bounded), apps(DBOS.is_declared), replicas(DBOS.is_known)),
    ),
    Requirement(
        "7.3.3",
        "DBOS does not scale with HTTP concurrency",
        (codes(dbos.does_not_scale_with_requests),),
    ),
    Requirement(
        "8.1.1",
        "The app is PID 1",
        (
            *built(launches(runtime.app_is_first), image_launches(runtime.app_is_first)),
            trees(runtime.app_runs_first),
        ),
        contradiction="7.1.2 asks for `bun run start`, which is PID 1 itself. Accepted is the app "
        "as its direct child, with no shell between: it gets SIGTERM, and its exit code counts.",
    ),
    Requirement(
        "8.1.2",
        "restart: unless-stopped",
        (apps(runtime.restarts), containers(runtime.restarts_live)),
    ),
    Requirement(
        "8.1.3",
        "A healthcheck is configured",
        (
            *built(apps(health.has_healthcheck), app_images(health.image_has_healthcheck)),
            watched(health.is_checked),
        ),
    ),
    Requirement(
        "8.2.1",
        "The number of replicas changes without a rebuild",
        (apps(scaling.can_have_replicas), apps(scaling.needs_no_rebuild)),
    ),
    Requirement(
        "8.2.2", "Web and DBOS stay in one container", (files(scaling.keeps_dbos_with_web),)
    ),
    Requirement(
        "8.3.1",
        "Traefik's routing goes by health",
        (_ROUTES_BY_HEALTH, files(health.has_routers)),
    ),
    Requirement(
        "8.3.2",
        "Unhealthy containers leave rotation",
        (live(health.routes_by_health), attested(health.routed_are_ready)),
    ),
    Requirement("9.1", "The migration goes in phases", (files(migration.phases),)),
    Requirement(
        "9.2",
        "PM2 does not run beside Bun in production",
        (
            *_PM2_FREE,
            image_launches(processes.no_pm2_started),
            trees(processes.runs_no_pm2),
        ),
        contradiction="9.1 begins with the package manager, while PM2 still runs: Bun that only "
        "installs is no runtime, and the stack that runs Bun has no PM2.",
    ),
    Requirement("9.3", "No PgBouncer in this phase", (files(migration.no_pgbouncer),)),
    Requirement(
        "9.4",
        "The database behaves as before",
        (files(migration.same_database), apps(migration.keeps_row_security)),
    ),
)


def _looks(*ids: str) -> tuple[Look, ...]:
    """The looks of other requirements: a criterion rests on them."""
    known = {requirement.id: requirement.looks for requirement in _REQUIREMENTS}
    return tuple(dict.fromkeys(look for id_ in ids for look in known[id_]))


_CRITERIA = (
    Requirement("AC-1", "PM2 is gone from production", _looks("9.2")),
    Requirement("AC-2", "The app runs under Bun in production", _looks("FR-1.1", "FR-1.2")),
    Requirement("AC-3", "It scales by Compose replicas", _looks("FR-4.1", "FR-4.2", "8.2.1")),
    Requirement(
        "AC-4",
        "Connections are predictable and bounded",
        _looks("NFR-1.1", "NFR-1.2", "FR-6.2", "7.3.2"),
    ),
    Requirement(
        "AC-5",
        "DBOS workflows function correctly",
        (*_looks("FR-5.1", "FR-5.2", "FR-5.3", "7.3.1"), replicas(dbos.workflows_live)),
    ),
    Requirement(
        "AC-6",
        "Health failures take containers out of traffic",
        _looks("FR-7.1", "FR-7.2", "FR-7.3", "FR-7.4", "8.3.1", "8.3.2"),
    ),
    Requirement(
        "AC-7",
        "The way back is validated",
        (*_looks("NFR-4.1"), live(migration.validated)),
    ),
)

REQUIREMENTS: tuple[Requirement, ...] = (*_REQUIREMENTS, *_CRITERIA)
