"""Any observation that a check may ever get: strategies for properties that must always hold."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

from hypothesis import strategies as st

from healthagent.core.exits import End, Exits, Sent
from healthagent.core.observation import (
    Backend,
    ClientPorts,
    ContainerState,
    Database,
    DatabaseDown,
    DatabaseSession,
    Elsewhere,
    Fact,
    Fleet,
    Livez,
    Observation,
    PendingWorkflows,
    Process,
    ProcessTree,
    Readyz,
    ServerLimits,
    Unseen,
)
from healthagent.core.target import DatabaseRef, Pools, Target, Timing

REF = DatabaseRef("db", 5432, "shop")

ADDRESSES = ("172.20.0.11", "172.20.0.12", "127.0.0.1", "::1")
PIDS = st.integers(0, 6)
COUNTS = st.integers(-1, 50)
SECONDS = st.floats(0, 1e6, allow_nan=False) | st.just(0.0)
TEXTS = st.text(max_size=70)
IDS = st.sampled_from(["app-1", "app-2", "local", "local_1", "", "_", "ü" * 40]) | TEXTS

unseen = st.builds(Unseen, st.sampled_from(["no source", "hidden"]), TEXTS)

targets = st.builds(
    Target,
    id=st.sampled_from(["f" * 64, "a" * 64, "static:app", "static:other"]),
    name=st.sampled_from(["app-1", "app-2"]),
    service=st.sampled_from(["app", "jobs"]),
    runtime=st.sampled_from(["bun", "node"]),
    address=st.none() | st.sampled_from(ADDRESSES),
    addresses=st.lists(st.sampled_from(ADDRESSES), max_size=3).map(tuple),
    port=st.none() | st.integers(1, 65535),
    livez=st.none() | st.just("/livez"),
    readyz=st.none() | st.just("/readyz"),
    pools=st.builds(Pools, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)),
    database=st.none() | st.just(REF),
    role=st.none() | st.just("app"),
    executor=st.none() | IDS,
    timing=st.builds(Timing, fall=st.integers(1, 3), rise=st.integers(1, 3)),
    enforce=st.frozensets(st.sampled_from(["pool", "dbos"])),
    quorum=st.integers(1, 3),
    surge=st.integers(0, 3),
    pid=st.none() | PIDS,
)

states = st.builds(
    ContainerState,
    status=st.sampled_from(
        ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
    ),
    pid=PIDS,
    exit_code=st.integers(-1, 255),
    oom_killed=st.booleans(),
    restart_count=st.integers(0, 50),
    started_at=SECONDS,
    finished_at=SECONDS,
    error=TEXTS,
    health=st.none() | st.sampled_from(["healthy", "unhealthy", "starting"]),
    restarted=st.booleans(),
)

processes = st.builds(
    Process,
    pid=PIDS,
    ppid=PIDS,
    ns_pid=st.none() | PIDS,
    comm=st.sampled_from(["bun", "node", "sh", "PM2 v5: God", "tini", ""]) | TEXTS,
    cmdline=st.lists(
        st.sampled_from(["bun", "run", "start", "node", "sh", "-c", "pm2", ""]), max_size=4
    ).map(tuple),
    state=st.sampled_from("RSDTtZXxI"),
    catches_sigterm=st.none() | st.booleans(),
    age=st.none() | SECONDS,
    waits=st.none() | SECONDS,
    wanted=st.none() | st.floats(0, 2),
    files=st.none() | st.tuples(st.integers(0, 300), st.integers(0, 300)),
)

trees = st.builds(
    ProcessTree,
    processes=st.lists(processes, max_size=5).map(tuple),
    cpu=st.none() | st.floats(0, 16),
    accept_queue=st.none() | st.dictionaries(st.integers(1, 65535), st.integers(0, 512)),
    turned=st.none() | SECONDS | st.sampled_from([inf, nan]),
    listeners=st.frozensets(
        st.tuples(st.sampled_from([*ADDRESSES, "0.0.0.0"]), st.integers(1, 65535)), max_size=5
    ),
)

_errors = st.sampled_from(
    ["", "name", "timeout", "unconnected", "refused", "reset", "unreachable", "invalid"]
)
_statuses = st.none() | st.integers(100, 599)
livez = st.builds(Livez, st.just("/livez"), _statuses, SECONDS, _errors, TEXTS)
readyz = st.builds(Readyz, st.just("/readyz"), _statuses, SECONDS, _errors, TEXTS)

backends = st.builds(
    Backend,
    pid=PIDS,
    role=st.sampled_from(["app", "healthagent", ""]),
    database=st.sampled_from(["shop", "other", ""]),
    application=st.builds("dbos_transact_{}_{}".format, IDS, TEXTS) | TEXTS,
    client_address=st.none() | st.sampled_from([*ADDRESSES, "10.0.0.9"]),
    client_port=st.none() | st.integers(-1, 3),
    visible=st.booleans(),
    state=st.sampled_from(["", "idle", "active", "idle in transaction"]),
    idle_for=st.none() | st.floats(-5, 1e6),
    age=st.none() | st.floats(-5, 1e6),
    listens_dbos=st.booleans(),
    asked_dbos=st.none() | st.floats(-5, 1e6),
)

databases = st.builds(
    Database,
    ref=st.just(REF),
    elapsed=SECONDS,
    agent_pid=PIDS,
    agent_role=st.sampled_from(["app", "healthagent"]),
    limits=st.builds(
        ServerLimits,
        COUNTS,
        COUNTS,
        COUNTS,
        st.dictionaries(st.sampled_from(["app", "healthagent"]), COUNTS),
        st.dictionaries(st.sampled_from(["shop", "other"]), COUNTS),
    ),
    backends=st.lists(backends, max_size=8).map(tuple),
    in_recovery=st.booleans(),
    read_only=st.booleans(),
    pending=unseen
    | st.just(Elsewhere("no table workflow_status"))
    | st.lists(st.builds(PendingWorkflows, IDS, TEXTS, st.integers(1, 9)), max_size=3).map(tuple),
    also=st.frozensets(st.just(("db.internal", 5432))),
    lasted=SECONDS,
)

outages = st.builds(
    DatabaseDown,
    ref=st.just(REF),
    error=st.sampled_from(
        [
            "refused", "timeout", "unreachable", "name", "tls", "starting", "recovering",
            "stopping", "absent", "closed", "exhausted", "rejected", "lost",
        ]
    ),
    detail=TEXTS,
    elapsed=SECONDS,
    sqlstate=st.sampled_from(["", "53300"]),
)  # fmt: skip

sessions = st.builds(DatabaseSession, databases | outages)

ends = st.builds(
    End,
    at=SECONDS,
    exit_code=st.none() | st.integers(-1, 255),
    asked=st.none() | st.booleans(),
    oom=st.booleans(),
    signals=st.lists(st.builds(Sent, st.integers(0, 64), SECONDS), max_size=2).map(tuple),
    ran_for=st.none() | SECONDS,
    left=st.booleans(),
)
exits = st.builds(
    Exits,
    SECONDS,
    st.lists(ends, max_size=4).map(tuple),
    st.booleans(),
    st.none() | SECONDS,
    st.none() | SECONDS,
)

FACTS: dict[type[Fact], st.SearchStrategy[Fact]] = {
    ContainerState: states,
    ProcessTree: trees,
    Exits: exits,
    Livez: livez,
    Readyz: readyz,
    DatabaseSession: sessions,
    Fleet: st.builds(
        Fleet,
        st.lists(targets, max_size=4).map(tuple),
        st.dictionaries(st.sampled_from(ADDRESSES), SECONDS, max_size=2),
    ),
    ClientPorts: st.builds(ClientPorts, st.frozensets(st.integers(-1, 3))),
}
"""A strategy for each kind of fact."""

PARTS: dict[type, st.SearchStrategy[object]] = {
    **FACTS,
    Process: processes,
    Backend: backends,
    Database: databases,
    DatabaseDown: outages,
    End: ends,
}
"""One for each record that those hold, too."""


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """A target, and for each kind of fact what was seen, why nothing was, or nothing at all."""
    target = draw(targets)
    facts: dict[type[Fact], Fact | Unseen] = {}
    for kind, strategy in FACTS.items():
        seen = draw(st.none() | unseen | strategy)
        if seen is not None:
            facts[kind] = seen
    if isinstance(fleet := facts.get(Fleet), Fleet):
        others = tuple(other for other in fleet.targets if other.id != target.id)
        facts[Fleet] = replace(fleet, targets=(*others, target))
    return Observation(target, facts)
