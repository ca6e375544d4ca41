"""What a verdict means and what to do, for the person who was woken by it.

The checks say what they saw and the nearest remedy. This adds what the state implies and the next
commands to type. Keyed by check and code; a code that several checks share may stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Advice:
    """``means`` is one sentence; ``steps`` are in the order to try them.

    ``{name}``, ``{logs}``, ``{inspect}``, ``{started}``, ``{port}`` and ``{database}`` (where those
    are declared) and the evidence's own fields are filled in; a step whose field is not there is
    left out.
    """

    means: str
    steps: tuple[str, ...] = ()


_LOGS = "read what it last said: {logs}"
_BLOCKED = (
    "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity "
    "WHERE cardinality(pg_blocking_pids(pid)) > 0"
)

_OWN_ID = (
    "let the app give DBOS.setConfig() its container's name for executorID, as src/identity.ts of "
    "examples/quickstart/app does"
)
_NO_VARIABLE = "leave DBOS__VMID out of the Compose file: it would be one id for all replicas"

ADVICE: dict[str, Advice] = {
    # The process
    "stopped": Advice(
        "The process exists and was halted by a signal; the kernel still takes its connections, "
        "so clients hang rather than fail.",
        ("let it go on: kill -CONT {pid}", "find who stopped it: a debugger, or kill -STOP"),
    ),
    "zombie": Advice("The app has ended and its parent has not noticed.", (_LOGS,)),
    "uninterruptible": Advice(
        "The process waits inside the kernel, as a rule for a disk or a network file system, and "
        "cannot even be killed.",
        ("look at the kernel's log: dmesg | tail", "see the load: cat /proc/pressure/io"),
    ),
    "wrong_runtime": Advice(
        "What runs is not what was declared.",
        (
            "compare what it starts with the label healthagent.runtime: {started}",
            "a program of `bun build --compile` is told by its name: --outfile bun",
        ),
    ),
    "pm2": Advice(
        "PM2 hides the app's end from Docker and doubles every connection pool.",
        ("start the app itself, as PID 1",),
    ),
    "second_process": Advice(
        "Each process takes connection pools of its own, which no budget counts.",
        ("see both: docker top {name}", "scale by replicas instead"),
    ),
    "cluster": Advice(
        "Each worker takes connection pools of its own, which no budget counts, and one that dies "
        "is hidden from Docker.",
        ("see them: docker top {name}", "start no workers, and scale by replicas"),
    ),
    "process starting": Advice("Its entry script runs; the app is not there yet.", ()),
    "renamed": Advice(
        "The process gave itself a name, which hides what runs; routing stays as it was.",
        ("leave process.title alone", "see it: docker top {name}"),
    ),
    "sigterm_lost": Advice(
        "It works now; at the next stop or rollout the app will not shut down cleanly.",
        (
            'start the app itself, by a command that is a list: CMD ["{runtime}", "FILE"]',
            'below `bun run` or `npm start` begin the script with exec: "exec {runtime} FILE"',
        ),
    ),
    "sigterm_ignored": Advice(
        "It works now; the next stop takes the whole grace period and ends in SIGKILL.",
        ('handle it in the app: process.on("SIGTERM", ...)',),
    ),
    "zombies": Advice(
        "Ended children pile up and will use up the process ids.",
        (
            "see them: docker top {name}",
            "wait for children in the app, and let none leave children of its own behind",
            "where neither can be: init: true on the service, which the audit's 8.1.1 refuses",
        ),
    ),
    "paused": Advice("Docker has frozen the container; clients hang.", ("docker unpause {name}",)),
    "restarting": Advice("It ends soon after each start.", (_LOGS, "see its exit: {inspect}")),
    "exited": Advice("The container does not run.", (_LOGS, "see its exit: {inspect}")),
    "gone": Advice(
        "The local process has ended, or never began.", ("start it; its pid will be new",)
    ),
    "created": Advice("Docker could not start the container.", ("see its state: {inspect}",)),
    "waiting": Advice(
        "Compose makes all containers, then starts each once what it depends on is there.",
        (
            "see what is not there yet: docker compose ps --all",
            "if nobody starts it: docker start {name}",
        ),
    ),
    "removing": Advice("Docker is removing the container.", ()),
    "vanished": Advice("It ended in the middle of a look; the next one will tell.", ()),
    # Its ends
    "crash_loop": Advice(
        "It ends again and again. It gets no traffic in between, and Docker waits ever longer, up "
        "to a minute, before it starts it anew.",
        (_LOGS, "see its exit: {inspect}", "to end the loop while you look: docker stop {name}"),
    ),
    "oom_killed": Advice(
        "The kernel killed it: the container took more memory than it is allowed to. The app could "
        "not say a last word.",
        (
            "compare its limit with what it takes: docker stats {name}",
            "raise the service's mem_limit, or look for the leak with a heap snapshot",
        ),
    ),
    "oom_in_container": Advice(
        "The container took more memory than it is allowed to, and the kernel chose a child of the "
        "app's to end. Next time it may be the app.",
        (
            "see who was killed: dmesg | grep -i oom",
            "compare its limit with what it takes: docker stats {name}",
            "raise the service's mem_limit, or start fewer such children at a time",
        ),
    ),
    "killed": Advice(
        "Somebody on the host sent SIGKILL, or the kernel did for want of memory on the whole "
        "machine.",
        ("see whether it was the kernel: dmesg | grep -i oom", _LOGS),
    ),
    "terminated": Advice(
        "Somebody sent it a signal, but not through Docker: another process in the container, or "
        "somebody on the host.",
        (_LOGS,),
    ),
    "crashed": Advice(
        "The runtime itself crashed, or gave up for want of heap: no JavaScript error can do this.",
        (_LOGS, "look for the runtime's own crash report there, and for an issue about it"),
    ),
    "error": Advice(
        "An error that nothing caught, or the app's own process.exit().",
        (
            _LOGS,
            "where Postgres ended just then: listen to `error` on pg's pool and its connections",
        ),
    ),
    "ended": Advice(
        "It ran out of things to do, or called process.exit(0); a server should do neither.",
        (_LOGS, "compare the image's CMD with what should run: {started}"),
    ),
    "not_found": Advice(
        "The image has no such program, or its interpreter is missing. No restart will mend it.",
        ("compare the image's CMD and ENTRYPOINT with what is in it: {started}",),
    ),
    "not_executable": Advice(
        "The file is there and is no program that may be run. No restart will mend it.",
        ("set its mode in the image: chmod +x", "see which file it is: {started}"),
    ),
    "not_started": Advice(
        "Docker could not make the container run; the app had no part in it.",
        ("see Docker's own words: {inspect}", "try again: docker start {name}"),
    ),
    "killed_after_grace": Advice(
        "SIGTERM did not end it, so that its last requests were cut off.",
        (
            "see whether it was frozen just then: healthagent history {name}",
            'if not, handle it in the app: process.on("SIGTERM", ...)',
            "start the app itself as PID 1, or with exec, so that the signal reaches it",
        ),
    ),
    "unclean_stop": Advice("Its shutdown did not end well.", (_LOGS,)),
    "unclear": Advice(
        "It ended before the agent looked, so it is not known whether somebody stopped it.",
        (_LOGS, "see its exit: {inspect}"),
    ),
    # Silence
    "blocked": Advice(
        "JavaScript code runs and does not yield: no request is served, no timer fires.",
        (_LOGS, "see what it does: perf top -p {pid}, or a CPU profile of the app"),
    ),
    "busy": Advice(
        "Something keeps it busy. Whether it still takes up requests, the next look shows.",
        ("wait for the next look",),
    ),
    "deadlocked": Advice(
        "The process sleeps and serves nobody: its listener lives and its loop does not turn.",
        (_LOGS, "see what it waits for: cat /proc/{pid}/wchan /proc/{pid}/stack"),
    ),
    "overloaded": Advice(
        "The event loop turns, but is behind: each request waits for those before it. A restart "
        "would only move the load to the others.",
        (
            "see who asks so much: the access log of Traefik, or of the app",
            "add replicas: docker compose up -d --scale SERVICE=N, after healthagent budget",
            "take long synchronous work off the event loop: a worker, or a DBOS queue",
        ),
    ),
    "event_loop slow": Advice(
        "It answers, and late: it shares its cores with others, or works in long stretches.",
        (_LOGS, "see who takes the cores: docker stats"),
    ),
    "no_files": Advice(
        "Each connection takes a file descriptor, and none is left: clients wait, or are hung up "
        "on. Restarted, it serves until it has lost as many again.",
        (
            "see what they are: ls -l /proc/{pid}/fd",
            "close what is opened in the app: responses read to their end, files, watchers",
            "where it needs so many, raise ulimits.nofile of the service, now {limit}",
        ),
    ),
    "silent": Advice("It does not answer, and why cannot be seen from here.", (_LOGS,)),
    "not_listening": Advice(
        "The process runs and its port is closed: it still starts, it has stopped serving, or it "
        "listens elsewhere.",
        (
            _LOGS,
            "compare the port it listens on with {port}",
            "have it listen on all addresses, 0.0.0.0: localhost is the container's own",
        ),
    ),
    "status": Advice("The replica itself says that it is not well.", (_LOGS,)),
    "timeout": Advice(
        "The connection is taken and no answer comes.",
        (_LOGS, f"see who waits for whom in Postgres: {_BLOCKED}"),
    ),
    "reset": Advice("The app hangs up in the middle of its answer.", (_LOGS,)),
    "invalid": Advice(
        "What answers there does not speak HTTP.",
        ("compare the port with {port}",),
    ),
    "no_network": Advice(
        "Docker has the container on no network: neither Traefik nor anybody else reaches it.",
        (
            "see which networks its neighbours are on: docker network ls",
            "docker network connect NETWORK {name}, or have Compose make it anew",
        ),
    ),
    "unreachable": Advice(
        "The agent has no way to the replica, so it does not know how the replica is.",
        ("attach the agent to one of the replica's networks",),
    ),
    # Postgres, as the agent sees it
    "postgres refused": Advice(
        "Every replica of that database is hit alike; restarting them mends nothing.",
        ("start Postgres, or read its log",),
    ),
    "postgres timeout": Advice(
        "Every replica of that database is hit alike; restarting them mends nothing.",
        ("see whether Postgres is frozen or has too much to do, and how its network is",),
    ),
    "postgres unreachable": Advice(
        "Every replica of that database is hit alike; restarting them mends nothing.",
        ("start Postgres, or attach the agent to its network",),
    ),
    "name": Advice(
        "Docker drops the name of a container that does not run; else only the agent is astray.",
        (
            "see whether Postgres runs, docker ps --all tells; if not, start it, or read its log",
            "if it runs, attach the agent to its network",
            "or name its way there, as from the host: [databases.NAME], label healthagent.database",
        ),
    ),
    "tls": Advice("Only the agent is known to be refused.", ("compare the server's ssl settings",)),
    "starting": Advice("Postgres is not ready yet, or no longer.", ("wait, or read its log",)),
    "exhausted": Advice(
        "Postgres is up and every slot is taken: new queries fail, old ones go on.",
        ("see who holds them: healthagent budget", "lower the pools or the replicas"),
    ),
    "recovering": Advice(
        "A Postgres process crashed, and the server replays its log; it lets nobody in meanwhile.",
        ("wait", "read the server's log: which process crashed, and was it out of memory?"),
    ),
    "stopping": Advice(
        "Somebody stops or restarts Postgres; sessions end now.", ("wait, or read its log",)
    ),
    "absent": Advice(
        "The server is well and holds no database of that name: a new volume, a typing error, or "
        "the wrong server.",
        (
            "list what is there: psql -l",
            "compare the name in {database}",
        ),
    ),
    "closed": Advice(
        "The server is well and lets nobody into that database, superusers included.",
        (
            "open it: ALTER DATABASE ... ALLOW_CONNECTIONS true",
            "where the reason above calls it invalid, a DROP DATABASE was cut short: drop it again",
        ),
    ),
    "rejected": Advice(
        "The server gave the agent's session an answer that is none of the known ones.",
        ("read it above, and the server's own log",),
    ),
    "lost": Advice(
        "The server ended the agent's connection: a restart, a failover, or an administrator.",
        ("read the server's log",),
    ),
    "standby": Advice(
        "Writes will fail there.", ("point DATABASE_URL at the primary, or promote this server",)
    ),
    "read_only": Advice(
        "Writes fail, and so does DBOS with its workflows. Many a hosted Postgres does that itself "
        "before its disk is full.",
        (
            "see how full its disk is",
            "see who set it: TABLE pg_db_role_setting, and postgresql.auto.conf",
            "then: ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()",
        ),
    ),
    "slow": Advice("Queries of the replicas are likely slow too.", ("look at the server's load",)),
    "no_session": Advice("It cannot be known without Postgres: see the check postgres.", ()),
    # Pools and DBOS
    "over_declared": Advice(
        "The sum that keeps the server within its limits no longer holds.",
        (
            "look for a second PrismaClient or pg.Pool in the app, or a max that was raised",
            "see the sum: healthagent budget",
        ),
    ),
    "leaking": Advice(
        "Connections are lost to the app one after another; when all are, each request waits.",
        (
            "in the app: release every client in a finally; make one PrismaClient per process",
            "for now, restart the replica",
        ),
    ),
    "saturated": Advice(
        "Postgres is up. It is the app's own pool that has nothing free, so requests queue in the "
        "app.",
        (
            "see what they do: TABLE pg_stat_activity, where state is not idle",
            "end one that is stuck: SELECT pg_terminate_backend(PID)",
        ),
    ),
    "pool exhausted": Advice(
        "No ordinary role gets another connection: new queries fail, old ones go on.",
        (
            "see who holds them: healthagent budget",
            "end those that nobody needs: SELECT pg_terminate_backend(PID)",
        ),
    ),
    "nearly_exhausted": Advice(
        "Less than a tenth is left.",
        ("see who holds them: healthagent budget",),
    ),
    "foreign_holders": Advice(
        "The pools alone would fit; connections of others take their room.",
        (
            "find whose they are, by role and address above",
            "give others a role of their own, with a CONNECTION LIMIT",
        ),
    ),
    "over_planned": Advice(
        "It works until the pools fill; then some replica gets no connection.",
        ("see the sum, and what would fit: healthagent budget --replicas SERVICE=N",),
    ),
    "not_registered": Advice(
        "The replica runs no durable workflow.", (_LOGS, "look for DBOS.launch() there")
    ),
    "unnamed": Advice(
        "The executor runs, but its id cannot be read: nobody can tell whether another has the "
        "same.",
        ("set application_name where the app makes systemDatabasePool",),
    ),
    "covered": Advice(
        "Postgres shows the last query of each connection alone, and the app's own come after "
        "DBOS's.",
        ("set application_name where the app makes systemDatabasePool",),
    ),
    "behind_pooler": Advice(
        "Every connection comes from the pooler's address, so that only names tell replicas apart; "
        "one that clients share bears the name of whoever used it last.",
        (
            "declare the id that each should have: healthagent.dbos.executor={{container_name}}",
            "let DBOS connect to Postgres itself, or in the pooler's session mode",
        ),
    ),
    "pool behind_pooler": Advice(
        "Connections come from the pooler's or the gateway's address, so that what each replica "
        "holds cannot be told, only what all of them do.",
        (
            "see the sum: healthagent budget",
            "let the replicas connect to Postgres itself, from addresses of their own",
        ),
    ),
    "orphaned": Advice(
        "These workflows began and stand still; no other executor will take them.",
        (
            "bring their owner back, with DBOS__VMID={executor} DBOS__APPVERSION={version}",
            "or give them up: cancel them by DBOS.cancelWorkflow()",
        ),
    ),
    "stale": Advice("What was known is too old to go by; routing stays as it was.", ()),
    "dbos stale": Advice(
        "Its workflows stand still, and no other replica takes them.",
        (_LOGS, "restart it under the same executor id: it recovers its own workflows"),
    ),
    "listens_only": Advice(
        "The process lives; its workflows may stand still. A restart would meet the same Postgres.",
        (_LOGS, "see what ails Postgres: healthagent check postgres"),
    ),
    "unanswered": Advice(
        "Its workflows stand still until Postgres answers. The replica itself is well: a restart "
        "would wait for the same.",
        (
            f"see who waits for whom in Postgres: {_BLOCKED}",
            "end that transaction, or wait for it: a migration, a VACUUM FULL, a psql left open",
        ),
    ),
    "unexpected_id": Advice(
        "After a restart nobody recovers what this id has left behind.",
        ("give the replica the id that it should have",),
    ),
    "local_id": Advice(
        "It is alone with this id for now. The next process that is given none will take its "
        "workflows while it runs them.",
        (_OWN_ID, _NO_VARIABLE),
    ),
    "local_shared": Advice(
        "A danger to what is durable, now: at its start each takes the PENDING workflows of all "
        "and runs them again.",
        (
            "keep one replica, until each has an id: docker compose up -d --scale SERVICE=1",
            _OWN_ID,
            _NO_VARIABLE,
        ),
    ),
    "shared_id": Advice(
        "Replicas that share an id run each other's workflows twice.",
        (_OWN_ID, _NO_VARIABLE),
    ),
    "mixed_versions": Advice(
        "Usual during a rollout. Workflows of the old version wait for a replica of it.",
        ("finish the rollout",),
    ),
    # Blindness
    "pending": Advice("It has not been looked at yet.", ()),
    "unseen": Advice("The agent could not look; routing stays as it was.", ()),
    "password": Advice(
        "The agent's own password is wrong. The app has another, and is none the worse for it.",
        ("correct HEALTHAGENT_POSTGRES_PASSWORD_FILE, or: ALTER ROLE ... PASSWORD ...",),
    ),
    "not_admitted": Advice(
        "Postgres lets the agent's own role not in. The app has another, and is none the worse.",
        ("make the role as docs/postgres-role.md says",),
    ),
    "not_granted": Advice(
        "The agent's own role lacks a right; the sentence above has the statement that grants it.",
        ("run it, as a superuser or as the owner of the database",),
    ),
    "role_limit": Advice(
        "The agent's own role may open no more connections.",
        ("end its other sessions, or raise its CONNECTION LIMIT to 3",),
    ),
}


def advice(check: str, code: str, fields: dict[str, Any]) -> Advice:
    """The advice for a verdict, its fields filled in."""
    found = ADVICE.get(f"{check} {code}") or ADVICE.get(code) or Advice("", (_LOGS,))
    steps = tuple(filled for step in found.steps if (filled := _filled(step, fields)) is not None)
    return Advice(found.means, steps)


def _filled(step: str, fields: dict[str, Any]) -> str | None:
    try:
        return step.format_map(fields)
    except KeyError:
        return None
