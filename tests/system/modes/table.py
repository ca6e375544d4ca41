"""The failure modes, one a row: how each is inflicted on a real replica, what it must be called,
and how it is healed. Tests hold the agent to them; the benchmark times them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from examples.quickstart.tour.condition import Seen, until
from healthagent.checks.pool import ABANDONED
from tests.system.client import WITHIN
from tests.system.modes.debugger import attach, detach
from tests.system.modes.replica import Replica

Act = Callable[[Replica], None]


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to fail. ``inject`` inflicts it on a healthy replica and ``heal`` ends it; in between
    ``check`` must give the reason ``code``.

    ``lane`` is the kind of replica, see :mod:`lanes`; those of a lane come one by one.
    """

    name: str
    lane: str
    inject: Act
    heal: Act
    check: str
    code: str


def asks(fault: str) -> Act:
    return lambda replica: replica.ask(fault)


def signals(number: signal.Signals) -> Act:
    return lambda replica: replica.signal(number)


def docker(*arguments: str) -> Act:
    return lambda replica: void(replica.docker(*arguments, replica.name))


def void(_: object) -> None:
    return


def runs(*command: str) -> Act:
    return lambda replica: replica.replace(command=command)


def with_variables(**variables: str) -> Act:
    return lambda replica: replica.replace(environment=replica.environment(**variables))


def with_labels(**labels: str) -> Act:
    return lambda replica: replica.replace(labels=replica.labels(**labels))


def with_options(*options: str) -> Act:
    return lambda replica: replica.replace(options=options)


def one_after_another(*acts: Act) -> Act:
    def act(replica: Replica) -> None:
        for step in acts:
            step(replica)

    return act


calm = asks("heal")
restore = Replica.restore
start_again = Replica.start_again

# What a container's life and its process tree show.

PROCESS = (
    Mode("SIGSTOP", "process", signals(signal.SIGSTOP), signals(signal.SIGCONT),
         "process", "stopped"),
    Mode("docker pause", "process", Replica.pause, docker("unpause"), "process", "paused"),
    Mode("docker stop", "process", docker("stop"), start_again, "process", "exited"),
    Mode("Docker cannot start it", "process",
         with_options("--entrypoint", "/no/such/program"), restore, "process", "created"),
    Mode("made, and not started yet", "process", lambda r: r.replace(started=False), start_again,
         "process", "waiting"),
    Mode("another program as PID 1", "process", runs("sleep", "600"), restore,
         "process", "wrong_runtime"),
    Mode("declared node, runs bun", "process", with_labels(runtime="node"), restore,
         "process", "wrong_runtime"),
    # By its name alone; PM2 itself runs in tests/system/exits.
    Mode("what calls itself PM2's daemon", "process", asks("pm2"), calm, "process", "pm2"),
    Mode("a system call that does not end", "process", asks("wait-in-kernel"), restore,
         "process", "uninterruptible"),
    Mode("eight zombies", "process", asks("zombies"), restore, "process", "zombies"),
    Mode("sh -c before the app", "tree", runs("sh", "-c", "bun /modes/main.ts; true"), restore,
         "process", "sigterm_lost"),
    Mode("bun run start, of two commands", "tree", runs("bun", "run", "--cwd", "/modes", "start"),
         restore, "process", "sigterm_lost"),
    Mode("no SIGTERM handler", "tree", with_variables(SIGTERM="ignored"), restore,
         "process", "sigterm_ignored"),
    Mode("a second process", "tree", asks("second"), calm, "process", "second_process"),
)  # fmt: skip

# How it ended.

EXIT = (
    Mode("SIGKILL past Docker", "exit", signals(signal.SIGKILL), restore, "exit", "killed"),
    Mode("segmentation fault", "exit", signals(signal.SIGSEGV), restore, "exit", "crashed"),
    Mode("abort()", "exit", asks("abort"), restore, "exit", "crashed"),
    Mode("uncaught throw", "exit", asks("throw"), restore, "exit", "error"),
    Mode("unhandled rejection", "exit", asks("reject"), restore, "exit", "error"),
    Mode("exit 0 that nobody asked for", "exit", asks("exit-0"), restore, "exit", "ended"),
    Mode("out of memory", "exit2", asks("eat"), restore, "exit", "oom_killed"),
    Mode("a child out of memory", "exit2", asks("eat-child"), restore,
         "exit", "oom_in_container"),
    Mode("its own shutdown fails", "exit2",
         one_after_another(with_variables(SIGTERM="7"), Replica.wait_until_up, docker("stop")),
         restore, "exit", "unclean_stop"),
    Mode("SIGTERM ignored until the kill", "exit2",
         one_after_another(with_variables(SIGTERM="ignored"), docker("stop", "--time", "1")),
         restore, "exit", "killed_after_grace"),
    Mode("command not found", "exit2", with_options("--entrypoint", "/no/such/program"), restore,
         "exit", "not_found"),
    Mode("command not executable", "exit2", with_options("--entrypoint", "/etc/passwd"), restore,
         "exit", "not_executable"),
    Mode("crash loop", "loop",
         lambda r: r.replace(environment=r.environment(FAILS="throw"),
                             options=("--restart", "unless-stopped")),
         restore, "exit", "crash_loop"),
    Mode("between two restarts", "loop",
         lambda r: r.replace(command=("false",), options=("--restart", "unless-stopped")),
         restore, "process", "restarting"),
)  # fmt: skip

# What its endpoints answer.

EVENT_LOOP = (
    Mode("busy loop", "event_loop", asks("spin"), restore, "event_loop", "blocked"),
    Mode("main thread waits on a lock", "event_loop", asks("wait"), restore,
         "event_loop", "deadlocked"),
    Mode("a promise that is never kept", "event_loop", asks("never-live"), calm,
         "event_loop", "deadlocked"),
    Mode("more work than the loop can do", "event_loop", asks("work"), restore,
         "event_loop", "overloaded"),
    Mode("held by a debugger", "event_loop", attach, detach, "event_loop", "stopped"),
    Mode("no file descriptor left", "event_loop",
         one_after_another(with_options("--ulimit", "nofile=256"), asks("open-files")), restore,
         "event_loop", "no_files"),
    Mode("listener closed", "event_loop", asks("deaf"), calm, "event_loop", "not_listening"),
    Mode("/livez 500", "event_loop", asks("sick-live"), calm, "event_loop", "status"),
    Mode("connections reset", "endpoints", asks("reset"), calm, "event_loop", "reset"),
    Mode("no HTTP on the port", "endpoints", asks("babble"), calm, "event_loop", "invalid"),
)  # fmt: skip

HTTP = (
    Mode("/readyz 503", "endpoints", asks("not-ready"), calm, "http", "status"),
    Mode("/readyz 500", "endpoints", asks("broken-ready"), calm, "http", "status"),
    Mode("/readyz 404", "endpoints", asks("no-such-page"), calm, "http", "status"),
    Mode("/readyz silent", "endpoints", asks("never-ready"), calm, "http", "timeout"),
    Mode("the app's pool is full", "pool", asks("saturate"), calm, "http", "timeout"),
)  # fmt: skip

# What Postgres shows.


def agent_role(change: str) -> Act:
    """The agent's own role on that server is changed, and its session ended."""

    def act(replica: Replica) -> None:
        replica.server.query(f"ALTER ROLE healthagent {change}")
        replica.server.end_sessions_of("healthagent")

    return act


def server(act: str, **options: bool) -> Act:
    return lambda replica: getattr(replica.server, act)(**options)


def revoked(replica: Replica) -> None:
    replica.server.query("REVOKE pg_monitor FROM healthagent")


def granted(replica: Replica) -> None:
    replica.server.query("GRANT pg_monitor TO healthagent")


def url(database: str, port: int = 5432, host: str = "") -> Act:
    """The replica's DATABASE_URL names another place."""

    def act(replica: Replica) -> None:
        found = replica.server.url(database, role="address", port=port, host=host)
        replica.replace(environment=replica.environment(DATABASE_URL=found))

    return act


def fill(replica: Replica) -> None:
    replica.server.fill("server")


def exhausted(replica: Replica) -> None:
    replica.server.shut_out("healthagent", by="server")


def between(host: str, upstream: str, act: Act) -> Act:
    """What ``between.ts`` is started beside the replica, as a host of that name, before the act. No
    two modes share one, since they may be tried at a time."""

    def start(replica: Replica) -> None:
        replica.beside(
            "between",
            watched=False,
            command=("bun", "/modes/between.ts"),
            environment={"UPSTREAM": upstream and f"{replica.server.host}:5432"},
            options=("--network-alias", host),
        )

    return one_after_another(start, act)


def alone(act: Act) -> Act:
    def end(replica: Replica) -> None:
        replica.stack.engine.remove(f"{replica.name}-between")

    return one_after_another(end, act)


# Two are left out, and shown on a real Postgres by the contract tests of the source: that the agent
# and Postgres do not agree on TLS (tls), which is a setting of the whole agent's and would hit all;
# and a Postgres that replays its log after a crash (recovering), which with so little to replay is
# over before two looks must have seen it.

POSTGRES = (
    Mode("Postgres stopped", "server", server("stop"), server("start_again"),
         "postgres", "name"),
    Mode("Postgres frozen", "server", server("pause"), server("unpause"), "postgres", "timeout"),
    Mode("Postgres off the network", "server", server("leave_network"), server("join_network"),
         "postgres", "name"),
    Mode("no slot left for the agent", "server", exhausted, server("empty"),
         "postgres", "exhausted"),
    Mode("Postgres not open yet", "server", server("become_standby", hot=False),
         server("become_primary"), "postgres", "starting"),
    Mode("a standby", "server", server("become_standby", hot=True), server("become_primary"),
         "postgres", "standby"),
    Mode("Postgres takes no writes", "server", server("take_no_writes"), server("take_writes"),
         "postgres", "read_only"),
    Mode("somebody else's connections", "server", lambda r: r.server.hold(4), server("empty"),
         "pool", "foreign_holders"),
    Mode("all slots taken", "server", fill, server("empty"), "pool", "exhausted"),
    Mode("nothing listens there", "address", url("address", port=5433), restore,
         "postgres", "refused"),
    Mode("no such name", "address", url("address", host="nowhere.invalid"), restore,
         "postgres", "name"),
    Mode("something else listens there", "address", url("address", port=9180, host="agent"),
         restore, "postgres", "rejected"),
    Mode("who listens there hangs up", "address",
         between("hangs-up", "", url("address", host="hangs-up")), alone(restore),
         "postgres", "lost"),
    Mode("no such database", "address", url("missing"), restore, "postgres", "absent"),
    Mode("a database that takes nobody", "address", url("template0"), restore,
         "postgres", "closed"),
    Mode("pools beyond the server's limit", "server", with_labels(pool__prisma="500"), restore,
         "pool", "over_planned"),
    Mode("nearly all slots taken", "rights",
         one_after_another(lambda r: r.server.hold(12), asks("take-all")),
         one_after_another(server("empty"), calm), "pool", "nearly_exhausted"),
    Mode("Postgres answers late", "rights", server("drag"), server("let_go"), "postgres", "slow"),
    Mode("no pg_monitor", "rights", revoked, granted, "pool", "not_granted"),
    Mode("the agent's password is wrong", "rights", agent_role("PASSWORD 'changed'"),
         lambda r: agent_role(f"PASSWORD '{r.stack.secret('healthagent')}'")(r),
         "postgres", "password"),
    Mode("the agent is not let in", "rights", agent_role("NOLOGIN"), agent_role("LOGIN"),
         "postgres", "not_admitted"),
)  # fmt: skip


def newer_one(replica: Replica) -> None:
    """Once others have been idle for long, a new connection is opened."""
    time.sleep(max(0.0, ABANDONED + 5 - replica.age))
    replica.struck_at = time.time()
    replica.ask("leak-one")


POOL = (
    Mode("connections passed over", "leak", newer_one, calm, "pool", "leaking"),
    Mode("connections leak", "pool", asks("leak"), calm, "pool", "over_declared"),
    Mode("transactions left open", "pool", asks("hold"), calm, "pool", "saturated"),
    Mode("pools beyond the role's limit", "pool",
         lambda r: r.server.query("ALTER ROLE pool CONNECTION LIMIT 2"),
         lambda r: r.server.query("ALTER ROLE pool CONNECTION LIMIT -1"),
         "pool", "over_planned"),
    Mode("pools beyond the database's limit", "pool",
         lambda r: r.server.query("ALTER DATABASE pool CONNECTION LIMIT 3"),
         lambda r: r.server.query("ALTER DATABASE pool CONNECTION LIMIT -1"),
         "pool", "over_planned"),
)  # fmt: skip


def twin(replica: Replica) -> None:
    replica.beside("twin", watched=False)


def no_twin(replica: Replica) -> None:
    replica.stack.engine.remove(f"{replica.name}-twin")


def orphan(replica: Replica) -> None:
    """A workflow of an executor that never comes back, which the agent may see."""
    replica.server.query_as(
        "dbos",
        "GRANT USAGE ON SCHEMA dbos TO healthagent;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA dbos TO healthagent;"
        "INSERT INTO dbos.workflow_status (workflow_uuid, status, name, executor_id,"
        " application_version, created_at, updated_at)"
        " VALUES ('orphan', 'PENDING', 'work', 'modes-gone', '1', 1, 1)",
    )


def no_orphan(replica: Replica) -> None:
    replica.server.query_as(
        "dbos", "DELETE FROM dbos.workflow_status WHERE executor_id = 'modes-gone'"
    )


def newer(replica: Replica) -> None:
    """A sibling of another version."""
    replica.beside(
        "twin",
        watched=True,
        environment=replica.environment(EXECUTOR="modes-newer", APP_VERSION="2"),
        labels=replica.labels(dbos__executor="modes-newer"),
    )


def pooled(replica: Replica) -> None:
    def change(replica: Replica) -> None:
        replica.docker("kill", replica.name)
        replica.server.wait_until_left("identity")  # or these were the ones that nobody owns
        replica.replace(
            environment=replica.environment(
                DATABASE_URL=replica.server.url("identity", host="pooler")
            ),
            labels=unnamed(replica),
        )

    between("pooler", "postgres", change)(replica)


def unnamed(replica: Replica) -> dict[str, str]:
    """Its labels, without an executor's id."""
    return {key: text for key, text in replica.labels().items() if "executor" not in key}


def local(replica: Replica) -> None:
    replica.replace(environment=replica.environment(EXECUTOR="local"), labels=unnamed(replica))


def two_locals(replica: Replica) -> None:
    local(replica)
    replica.beside("twin", watched=False, environment=replica.environment(EXECUTOR="local"))


DBOS = (
    Mode("DBOS shut down", "dbos", asks("end-dbos"), calm, "dbos", "not_registered"),
    Mode("DBOS silent", "dbos", signals(signal.SIGSTOP), signals(signal.SIGCONT),
         "dbos", "stale"),
    Mode("DBOS's table locked", "dbos",
         lambda r: r.server.lock("dbos", "dbos.workflow_status"), server("empty"),
         "dbos", "unanswered"),
    Mode("two processes of one id", "dbos", twin, no_twin, "dbos", "shared_id"),
    Mode("mixed versions", "dbos", newer, no_twin, "dbos", "mixed_versions"),
    Mode("workflows of a dead executor", "dbos", orphan, no_orphan, "dbos", "orphaned"),
    Mode("another id than expected", "identity", with_variables(EXECUTOR="modes-other"), restore,
         "dbos", "unexpected_id"),
    Mode("the id local", "identity", local, restore, "dbos", "local_id"),
    Mode("two processes of the id local", "identity", two_locals,
         one_after_another(no_twin, restore), "dbos", "local_shared"),
    Mode("a pooler in between, and no id declared", "identity", pooled, alone(restore),
         "dbos", "behind_pooler"),
    Mode("a pool that bears no id", "identity", with_variables(OWN_POOL="yes"), restore,
         "dbos", "unnamed"),
    Mode("a pool that bears no id and does not listen", "identity",
         with_variables(OWN_POOL="yes", LISTENS="no"), restore, "dbos", "unnamed"),
)  # fmt: skip


def called(executor: str, **variables: str) -> Act:
    """The executor gets that id, as is declared, and the app these variables."""
    return lambda replica: replica.replace(
        environment=replica.environment(EXECUTOR=executor, **variables),
        labels=replica.labels(dbos__executor=executor),
    )


def stay(_: Replica) -> None:
    """There is nothing to heal."""


LIVED = 4.0
"""Seconds after a start from which the connections that it leaves are told by their age from those
of the next container at its address."""


def not_launched(replica: Replica) -> None:
    """It answers, and would be ready but for its executor. For as long as that is awaited it is
    *starting*; then it is served all the same, since its service has no other replica."""
    time.sleep(max(0.0, LIVED - replica.age))
    replica.replace(
        environment=replica.environment(LAUNCHES="when asked"), labels=replica.labels(grace="8s")
    )
    replica.wait_until_up()
    agent, phases = replica.stack.agent, set()
    made = replica.stack.engine.inspect(replica.name)["Id"]

    def look() -> Seen:
        target = agent.targets().get(replica.name, {})
        answers = {"name": "http", "status": "ok"}.items()
        if target.get("id") == made and any(answers <= c.items() for c in target["checks"]):
            phases.add(target["phase"])
        return Seen("degraded" in phases, str(phases))

    until(f"{replica.name} is awaited no longer", look, within=WITHIN)
    assert phases == {"starting", "degraded"}, phases
    assert agent.check(replica.name, "dbos")["excused"]


REGISTRATION = (
    Mode("an id with underscores, a version that DBOS computes, a schema of its own", "identity",
         called("modes_an_id_", APP_VERSION="", SCHEMA="jobs of the app"), stay, "dbos", "ok"),
    Mode("an id that Postgres cuts, and nobody listens", "identity",
         called(f"modes-{63 * 'x'}", LISTENS="no"), restore, "dbos", "ok"),
    Mode("not launched yet", "identity", not_launched, one_after_another(calm, restore),
         "dbos", "not_registered"),
)  # fmt: skip
"""How executors come to be registered: no failures, so that the benchmark leaves them out."""

MODES = (*PROCESS, *EXIT, *EVENT_LOOP, *HTTP, *POSTGRES, *POOL, *DBOS)
