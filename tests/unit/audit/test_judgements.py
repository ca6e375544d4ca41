"""What was not seen is not met, and what the document contradicts is named."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from healthagent.audit.document import document
from healthagent.audit.evidence import Container, Evidence, Verdict
from healthagent.audit.finding import Outcome, met, not_met, not_seen, resolved, worst
from healthagent.audit.judgements import health
from healthagent.audit.judgements.connections import add_up
from healthagent.audit.judgements.health import routed_are_ready
from healthagent.audit.judgements.observability import is_told_where_live, logs_live, metrics_arrive
from healthagent.audit.judgements.processes import ends_live, others_serve, runs_one
from healthagent.audit.judgements.runtime import runs_no_node
from healthagent.audit.markdown import markdown
from healthagent.audit.reading import gather
from healthagent.audit.reading.traefik import UNASKED
from healthagent.audit.requirement import Kind, passing
from healthagent.audit.table import REQUIREMENTS
from healthagent.core.observation import Elsewhere, Process, ProcessTree, Unseen
from provision.paths import ROOT
from tests.unit.audit.stacks import assemble, evidence, judgements, outcomes, rewrite

AUDIT = (ROOT / "docs" / "audit.md").read_text()
UNSEEN = Unseen("nobody looked", "look")
LIVE = [r.id for r in REQUIREMENTS if any(look.kind is Kind.LIVE for look in r.looks)]


@pytest.fixture
def good(tmp_path: Path) -> Evidence:
    return evidence(assemble(tmp_path))


def blind(seen: Evidence) -> Evidence:
    return replace(
        seen,
        images=UNSEEN,
        containers=UNSEEN,
        agent=UNSEEN,
        router=UNSEEN,
        metrics=UNSEEN,
        trial=UNSEEN,
    )


def test_what_was_not_seen_is_neither_met_nor_failed(good: Evidence) -> None:
    judged = judgements(blind(good))

    assert not passing(judged)
    assert not [j for j in judged if j.finding.outcome is Outcome.NOT_MET]
    assert {j.requirement.id for j in judged if j.finding.outcome is Outcome.NOT_SEEN} >= set(LIVE)
    assert all(j.finding.remedy for j in judged if j.finding.outcome is Outcome.NOT_SEEN)


def test_files_alone_are_enough_where_only_files_are_asked(good: Evidence) -> None:
    judged = judgements(blind(good), Kind.FILES)

    assert passing(judged)
    assert [j.requirement.id for j in judged if not j.counts] == ["8.3.2"]


def test_an_image_tells_what_nobody_has_the_dockerfile_of(good: Evidence) -> None:
    app = replace(good.apps[0], dockerfile=UNSEEN)
    seen = replace(good, apps=(app,))
    found, alone = outcomes(seen), outcomes(seen, Kind.FILES)

    for id_ in ("FR-7.3", "8.1.3", "8.1.1", "FR-1.1"):
        assert (found[id_].passing, alone[id_]) == (True, Outcome.NOT_SEEN)
    assert found["7.1.1"] is Outcome.NOT_SEEN, "whose version no image tells"


def test_code_that_is_nowhere_to_be_found_is_not_seen(good: Evidence) -> None:
    app = replace(good.apps[0], code=UNSEEN, dockerfile=UNSEEN)
    found = outcomes(replace(good, apps=(app,)), Kind.FILES)

    assert Outcome.NOT_MET not in found.values()
    for id_ in ("FR-1.1", "FR-2.1", "FR-2.2", "FR-5.2", "FR-6.1", "7.1.1", "7.2.1", "8.1.1"):
        assert found[id_] is Outcome.NOT_SEEN, id_


def test_a_folder_without_source_tells_nothing_of_the_source(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    shutil.move(stack / "src", stack / "build")
    found = outcomes(evidence(stack), Kind.FILES)

    assert Outcome.NOT_MET not in found.values()
    for id_ in ("1.2.1", "FR-3.2", "FR-5.2", "FR-6.1", "FR-7.1", "NFR-1.2", "NFR-2.2", "NFR-3.1",
                "NFR-3.2", "NFR-4.1", "7.2.2", "7.3.3", "AC-7"):  # fmt: skip
        assert found[id_] is Outcome.NOT_SEEN, id_
    assert found["FR-2.2"].passing, "of which package.json and the lock file tell"


def test_an_agent_of_another_stack_is_no_witness(good: Evidence) -> None:
    assert not isinstance(good.containers, Unseen)
    strangers = tuple(replace(c, id="0" * 64) for c in good.containers)
    joined = gather.joined(replace(good, containers=strangers))

    assert isinstance(joined.agent, Unseen)
    assert gather.joined(good) == good


def test_an_agent_is_no_witness_of_a_project_that_runs_no_container(good: Evidence) -> None:
    none = Elsewhere("no container of project 'nope' runs app", "start it")
    hidden = Unseen("there is no socket", "mount it")

    assert gather.joined(replace(good, containers=none)).agent == none
    assert gather.joined(replace(good, containers=hidden)).agent == good.agent


def test_a_sick_replica_of_another_project_is_not_laid_to_this_one(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    stranger = replace(good.agent.replicas[0], name="other-app-1", id="f" * 64, checks=FROZEN)
    both = replace(good.agent, replicas=(*good.agent.replicas, stranger))

    assert gather.joined(replace(good, agent=both)) == good


def test_a_container_that_the_agent_does_not_watch_is_named(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    first, *others = good.agent.replicas
    seen = replace(good, agent=replace(good.agent, replicas=(first,)))
    found = {j.requirement.id: j.finding for j in judgements(seen)}

    for id_ in ("NFR-1.1", "NFR-1.2", "FR-5.1", "FR-7.1", "FR-7.4"):
        assert found[id_].outcome is Outcome.NOT_SEEN
        assert all(f"the agent does not watch {r.name}" in found[id_].seen for r in others)


def test_what_other_replicas_may_hold_of_the_same_server_is_in_the_sum(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    (server,) = good.agent.servers
    shared = replace(server, planned=33, others=2, replicas=server.replicas | {"back-1"})
    strange = replace(server, name="other:5432", fits=False, replicas=frozenset({"back-1"}))
    found = add_up(replace(good.agent, servers=(shared, strange)))

    assert found.seen == (
        "33 = 3 x (5 + 3) + 6 other replicas' + 1 agent + 2 others of 67 at postgres:5432"
    )


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("{name}", Outcome.MET),
        ("{name}:9464", Outcome.MET),
        ("{id}", Outcome.MET),
        ("{id:.12}", Outcome.MET),
        ("{name}0", Outcome.NOT_MET),
        ("another-{name}", Outcome.NOT_MET),
        ("{id:.11}", Outcome.NOT_MET),
    ],
)
def test_metrics_are_a_containers_where_they_name_it_and_no_longer_name(
    good: Evidence, name: str, outcome: Outcome
) -> None:
    assert not isinstance(good.containers, Unseen)
    assert not isinstance(good.metrics, Unseen)
    first, *_ = good.containers
    names = frozenset({name.format(name=first.name, id=first.id)})
    seen = replace(good, containers=(first,), metrics=replace(good.metrics, names=names))

    assert metrics_arrive(seen).outcome is outcome


def test_what_the_agent_gives_to_traefik_does_not_show_what_traefik_does(good: Evidence) -> None:
    found = {j.requirement.id: j.finding for j in judgements(replace(good, router=UNASKED))}

    for id_ in ("FR-7.4", "8.3.2", "AC-6"):
        assert found[id_].outcome is Outcome.NOT_SEEN
        assert found[id_].remedy == "audit with --traefik URL: its API"


def test_a_database_that_is_away_is_nobodys_undeclared_pool_and_no_replicas_fault(
    tmp_path: Path,
) -> None:
    stack = assemble(tmp_path)
    health = json.loads((stack / "live" / "health.json").read_text())
    for target in health["targets"]:
        target["ready"] = False
        (postgres,) = [check for check in target["checks"] if check["name"] == "postgres"]
        postgres |= {"status": "failed", "code": "down", "reason": "postgres:5432 refuses"}
    (stack / "live" / "health.json").write_text(json.dumps(health))
    (stack / "live" / "budget.json").write_text('{"fits": true, "servers": []}')
    found = {j.requirement.id: j.finding for j in judgements(evidence(stack))}

    for id_ in ("NFR-1.1", "NFR-2.1"):
        assert found[id_].outcome is Outcome.NOT_SEEN, found[id_].seen
        assert "postgres:5432 refuses" in found[id_].seen
    assert found["FR-6.2"].outcome is Outcome.MET


def test_replicas_that_all_serve_show_nothing_of_one_that_fails(good: Evidence) -> None:
    assert not isinstance(good.trial, Unseen)
    for trial in (UNSEEN, replace(good.trial, beside_frozen=None)):
        found = others_serve(replace(good, trial=trial))
        assert found.outcome is Outcome.NOT_SEEN
        assert "all 3 replicas are ready" in found.seen
        assert "--acceptance FILE" in found.remedy
    assert others_serve(good).outcome is Outcome.MET


def test_one_replica_that_fails_beside_others_that_serve_is_seen_as_it_is(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    first, *others = good.agent.replicas
    sick = replace(good.agent, replicas=(replace(first, ready=False), *others))
    found = others_serve(replace(good, agent=sick, trial=UNSEEN))

    assert found.outcome is Outcome.MET
    assert found.seen == f"2 of 3 replicas are ready, while {first.name} is not"


FROZEN = {
    "event_loop": Verdict("failed", "stopped", "GET /livez gave no answer within 0.8 s"),
    "http": Verdict("failed", "timeout", "GET /readyz gave no answer within 0.8 s"),
    "dbos": Verdict("failed", "stale", "the executor has not spoken to Postgres for 9 s"),
}
SAYS_NO = {"http": Verdict("failed", "status", "GET /readyz answered 503: no database", 503)}


@pytest.mark.parametrize("checks", [FROZEN, SAYS_NO], ids=["frozen", "says no"])
def test_a_replica_out_of_service_shows_routing_and_breaks_nothing_else(
    good: Evidence, checks: dict[str, Verdict]
) -> None:
    found = outcomes(beside_others(good, ready=False, checks=checks))

    assert [id_ for id_, outcome in found.items() if not outcome.passing] == []


@pytest.mark.parametrize(("status", "outcome"), [(503, Outcome.MET), (404, Outcome.NOT_MET)])
def test_what_the_agent_was_answered_tells_a_no_from_an_endpoint_that_is_not_there(
    tmp_path: Path, status: int, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    told = json.loads((stack / "live" / "health.json").read_text())
    for check in told["targets"][0]["checks"]:
        if check["name"] == "http":
            check |= {"status": "failed", "code": "status", "evidence": {"status": status}}
    (stack / "live" / "health.json").write_text(json.dumps(told))

    assert outcomes(evidence(stack))["FR-7.2"] is outcome


def test_a_ready_replica_that_gives_no_answer_has_no_endpoint(good: Evidence) -> None:
    found = outcomes(beside_others(good, ready=True, checks=FROZEN))

    for id_ in ("FR-7.1", "FR-7.2", "FR-5.1", "AC-5", "AC-6"):
        assert found[id_] is Outcome.NOT_MET, id_


def test_endpoints_that_no_replica_answers_are_not_there(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    silent = tuple(replace(r, ready=False, checks=FROZEN) for r in good.agent.replicas)
    found = health.answers("http")(replace(good.agent, replicas=silent))

    assert found.outcome is Outcome.NOT_MET


def beside_others(good: Evidence, *, ready: bool, checks: dict[str, Verdict]) -> Evidence:
    """The good stack with one replica of which this is seen, out of rotation where not ready."""
    assert not isinstance(good.agent, Unseen)
    assert not isinstance(good.router, Unseen)
    first, *others = good.agent.replicas
    one = replace(first, ready=ready, checks={**first.checks, **checks})
    servers = {s for s in good.router.servers if ready or s != f"{first.address}:{first.port}"}
    return replace(
        good,
        agent=replace(good.agent, replicas=(one, *others)),
        router=replace(good.router, servers=frozenset(servers)),
    )


@pytest.mark.parametrize(
    ("address", "server"),
    [("172.18.0.5", "172.18.0.5:3000"), ("fd00::5", "[fd00::5]:3000")],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.parametrize("probed", [3000, 9000], ids=["same port", "management port"])
@pytest.mark.parametrize(
    ("ready", "served", "outcome"),
    [
        (True, True, Outcome.MET),
        (True, False, Outcome.NOT_MET),
        (False, True, Outcome.NOT_MET),
        (False, False, Outcome.MET),
    ],
)
def test_a_container_is_routed_to_by_its_address_whichever_port_is_probed(
    good: Evidence,
    address: str,
    server: str,
    probed: int,
    ready: bool,
    served: bool,
    outcome: Outcome,
) -> None:
    assert not isinstance(good.agent, Unseen)
    assert not isinstance(good.router, Unseen)
    replica = replace(good.agent.replicas[0], address=address, port=probed, ready=ready)
    router = replace(good.router, servers=frozenset({server} if served else ()))
    found = routed_are_ready(
        replace(good, agent=replace(good.agent, replicas=(replica,)), router=router)
    )

    assert found.outcome is outcome, f"compare hosts, not the port of the probes: {found.seen}"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exec bun server.ts", Outcome.CONTRADICTION),
        ("NODE_ENV=production exec bun server.ts", Outcome.CONTRADICTION),
        ("cd build && A=1 B='x y' exec bun server.ts", Outcome.CONTRADICTION),
        ("NODE_ENV=production bun server.ts", Outcome.NOT_MET),
        ("A=exec bun server.ts", Outcome.NOT_MET),
    ],
)
def test_no_shell_stays_where_it_executes_the_app_with_variables_or_without(
    tmp_path: Path, script: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    package = next(stack.rglob("package.json"))
    rewrite(package, "exec bun build/index.js", script)

    assert outcomes(evidence(stack), Kind.FILES)["8.1.1"] is outcome


@pytest.mark.parametrize(
    "entry",
    [["/usr/local/bin/bun", "server.ts"], ["/usr/local/bin/bun", "run", "start"]],
    ids=["file", "script"],
)
def test_bun_is_bun_wherever_the_image_has_it(tmp_path: Path, entry: list[str]) -> None:
    stack = assemble(tmp_path)
    dockerfile = next(stack.rglob("Dockerfile"))
    start = 'CMD ["bun", "run", "start"]'
    rewrite(dockerfile, start, f"CMD {json.dumps(entry)}")
    found = outcomes(evidence(stack), Kind.FILES)

    assert found["7.1.2"] is Outcome.CONTRADICTION, "compare the program's base name"
    assert found["8.1.1"].passing


def test_a_shell_that_no_script_brought_is_to_execute_the_app_where_the_command_stands(
    tmp_path: Path,
) -> None:
    stack = assemble(tmp_path)
    override(stack, {"entrypoint": ["/bin/sh", "-c", "bun build/index.js"]})
    found = {j.requirement.id: j.finding for j in judgements(evidence(stack), Kind.FILES)}
    assert found["8.1.1"].outcome is Outcome.NOT_MET
    assert "exec bun build/index.js; or write the command as a list" in found["8.1.1"].remedy


SCRIPT = '"start": "exec bun build/index.js"'


@pytest.mark.parametrize(
    ("scripts", "entry", "broken"),
    [
        (SCRIPT, ["bun", "run", "start"], ()),
        (SCRIPT, ["bun", "--bun", "run", "start"], ()),
        (SCRIPT, ["bun", "server"], ()),
        (SCRIPT, ["bun", "x", "server"], ("7.1.2",)),
        ('"serve": "exec bun build/index.js"', ["bun", "run", "serve"], ("7.1.2",)),
        ('"go": "exec bun build/index.js"', ["bun", "run", "start"], ("FR-1.1", "7.1.2", "8.1.1")),
        ('"start": "exec bun run start"', ["bun", "run", "start"], ("FR-1.1", "8.1.1")),
        (
            '"start": "exec bun run serve", "serve": "exec bun build/index.js"',
            ["bun", "run", "start"],
            ("8.1.1",),
        ),
        (
            '"start": "exec bun run serve", "serve": "exec node build/index.js"',
            ["bun", "run", "start"],
            ("FR-1.1", "FR-1.2", "8.1.1"),
        ),
        (f'"prestart": "node migrate.js", {SCRIPT}', ["bun", "run", "start"], ("FR-1.2",)),
    ],
)
def test_a_start_is_followed_through_every_script_to_the_program_that_is_the_app(
    tmp_path: Path, scripts: str, entry: list[str], broken: tuple[str, ...]
) -> None:
    stack = assemble(tmp_path)
    package, dockerfile = stack / "package.json", stack / "Dockerfile"
    (stack / "server.ts").touch()
    rewrite(package, SCRIPT, scripts)
    start = 'CMD ["bun", "run", "start"]'
    rewrite(dockerfile, start, f"CMD {json.dumps(entry)}")
    found = outcomes(evidence(stack), Kind.FILES)

    failed = {id_ for id_, outcome in found.items() if outcome is Outcome.NOT_MET}
    assert failed - {"AC-2"} == set(broken)


LAST = "\n\nFROM oven/bun:${BUN_VERSION}-slim\n"


@pytest.mark.parametrize(
    ("last", "pinned", "without_node"),
    [
        ("FROM debian:12\nCOPY --from=oven/bun:1.4.4-slim /usr/local/bin/bun /bin/bun", True, True),
        ("FROM debian:12\nCOPY --from=oven/bun:latest /usr/local/bin/bun /bin/bun", False, True),
        ("FROM debian:12\nRUN curl https://bun.sh/install | bash -s bun-v1.4.4", True, True),
        ("FROM debian:12\nRUN curl https://bun.com/install | bash -s bun-v1.4.3", False, True),
        ("FROM debian:12\nRUN curl -fsSL https://bun.sh/install | bash", False, True),
        ('FROM debian:12\nRUN ["npm", "install", "-g", "bun"]', False, True),
        ("FROM oven/bun:1.4.4-slim\nRUN bun install --frozen-lockfile && bun run x", True, True),
        ("FROM oven/bun:1.4.4\nRUN ln -s /usr/local/bin/bun /usr/local/bin/node", True, True),
        ("FROM oven/bun:1.4.4\nCOPY --from=node:24 /usr/local/bin/node /bin/node", True, False),
        ("FROM oven/bun:1.4.4\nCOPY --from=build /usr/local/bin/node /bin/node", True, False),
        ("FROM oven/bun:1.4.4-alpine\nRUN apk add --no-cache nodejs", True, False),
        ("FROM oven/bun:1.4.4\nRUN apt-get update && apt-get install -y nodejs", True, False),
    ],
)
def test_what_the_last_stage_is_given_counts_as_what_it_is_built_on(
    tmp_path: Path, last: str, pinned: bool, without_node: bool
) -> None:
    stack = assemble(tmp_path)
    dockerfile = stack / "Dockerfile"
    rewrite(dockerfile, LAST, f"\n\n{last}\n")
    found = outcomes(evidence(stack), Kind.FILES)

    assert (found["7.1.1"].passing, found["FR-1.2"].passing) == (pinned, without_node)


@pytest.mark.parametrize(
    ("file", "before", "after", "broken"),
    [
        ("Dockerfile", "RUN bun run build", 'RUN ["npm", "ci"]', "FR-2.1"),
        ("Dockerfile", 'CMD ["bun", "run", "start"]', 'CMD ["npm", "start"]', "FR-2.1"),
        ("package.json", '"build":', '"dev": "npm start", "build":', "FR-2.1"),
        ("package.json", '"build":', '"dev": "cd x && yarn", "build":', "FR-2.1"),
        ("Dockerfile", "RUN bun run build", 'RUN ["bun", "add", "-g", "pm2"]', "1.2.1"),
        ("package.json", '"pg":', '"x": "1"}, "optionalDependencies": {"pm2": "6", "pg":', "1.2.1"),
        ("Dockerfile.dev", "", "FROM oven/bun:1.4.4\nRUN bun add -g pm2@6\n", "1.2.1"),
        ("compose.test.yaml", "", 'services: {app: {command: ["pm2-runtime", "x"]}}', "1.2.1"),
    ],
)
def test_another_manager_and_pm2_are_found_however_they_are_written(
    tmp_path: Path, file: str, before: str, after: str, broken: str
) -> None:
    stack = assemble(tmp_path)
    path = stack / file
    path.write_text(path.read_text().replace(before, after) if before else after)

    assert outcomes(evidence(stack), Kind.FILES)[broken] is Outcome.NOT_MET


def test_a_name_that_only_reads_like_another_managers_is_none(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    package = stack / "package.json"
    script = '"check": "bunx npm-check && bun run yarn:old && rm -rf ./npm", "build":'
    rewrite(package, '"build":', script)
    (stack / "compose.dev.yaml").write_text("# no pm2 here\nservices: {app: {image: x/pm2-free}}")

    assert outcomes(evidence(stack), Kind.FILES)["FR-2.1"] is Outcome.MET
    assert outcomes(evidence(stack), Kind.FILES)["1.2.1"] is Outcome.MET


IMAGE = "image: shop-app:dev"
URL = "DATABASE_URL: postgresql://shop:secret@postgres:5432/shop"


@pytest.mark.parametrize(
    ("name", "service", "outcome"),
    [
        ("back", f'{{{IMAGE}, restart: always, command: ["bun", "w.js"]}}', Outcome.NOT_MET),
        ("back", f'{{{IMAGE}, restart: always, entrypoint: ["bun", "w.js"]}}', Outcome.NOT_MET),
        ("back", f"{{{IMAGE}, restart: always, environment: {{ROLE: worker}}}}", Outcome.NOT_MET),
        ("worker", f'{{{IMAGE}, restart: on-failure, command: ["bun", "w.js"]}}', Outcome.NOT_MET),
        ("worker", "{build: {dockerfile: Dockerfile.worker}, restart: always}", Outcome.NOT_MET),
        ("worker", f"{{build: ./w, restart: always, environment: {{{URL}}}}}", Outcome.NOT_MET),
        ("worker", "{build: ./pictures, restart: always}", Outcome.MET),
        ("worker", f"{{image: metrics, restart: always, environment: {{{URL}}}}}", Outcome.MET),
        ("back", f"{{{IMAGE}, restart: always}}", Outcome.MET),
        ("dbos-schema", f'{{{IMAGE}, restart: on-failure, command: ["dbos", "x"]}}', Outcome.MET),
    ],
)
def test_a_service_that_stays_up_for_part_of_the_apps_work_takes_it_apart(
    tmp_path: Path, name: str, service: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    with (stack / "compose.yaml").open("a") as file:
        file.write(f"\n  {name}: {service}\n")

    assert outcomes(evidence(stack), Kind.FILES)["8.2.2"] is outcome


PASSWORD = "${APP_PASSWORD:-secret}"


@pytest.mark.parametrize(
    ("variables", "outcome"),
    [
        (f"DATABASE_URL: postgresql://shop:{PASSWORD}@postgres:5432/shop", Outcome.MET),
        ("PGHOST: postgres\n      PGUSER: shop", Outcome.MET),
        ("PGHOST: postgres\n      PGUSER: postgres", Outcome.NOT_MET),
        ("DATABASE_URL_FILE: /run/secrets/database", Outcome.NOT_SEEN),
        ('DATABASE_URL: ""', Outcome.NOT_SEEN),
    ],
)
def test_a_database_that_nothing_names_is_not_seen_to_be_the_same(
    tmp_path: Path, variables: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    compose = stack / "compose.yaml"
    named = f"DATABASE_URL: postgresql://shop:{PASSWORD}@postgres:5432/shop"
    rewrite(compose, named, variables)

    assert outcomes(evidence(stack), Kind.FILES)["9.4"] is outcome


@pytest.mark.parametrize(
    "override",
    [
        "pgbouncer: {image: registry.corp/pool:1}",
        "pool: {image: edoburu/pgbouncer}",
        "app: {environment: {PGHOST: pgbouncer.internal}}",
    ],
)
def test_a_pooler_is_known_by_its_name_its_image_or_who_asks_for_it(
    tmp_path: Path, override: str
) -> None:
    stack = assemble(tmp_path)
    (stack / "compose.override.yaml").write_text(f"services: {{{override}}}\n")

    assert outcomes(evidence(stack), Kind.FILES)["9.3"] is Outcome.NOT_MET


def test_an_address_that_is_written_down_belongs_to_one_replica(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    override = "services: {app: {networks: {default: {ipv4_address: 172.20.0.5}}}}\n"
    (stack / "compose.override.yaml").write_text(override)

    assert outcomes(evidence(stack), Kind.FILES)["FR-4.1"] is Outcome.NOT_MET


@pytest.mark.parametrize(
    ("expression", "variables", "outcome"),
    [
        ("process.env.EXECUTOR_ID!", {"EXECUTOR_ID": "worker"}, Outcome.NOT_MET),
        ("env.EXECUTOR_ID ?? (await containerName())", {"EXECUTOR_ID": "worker"}, Outcome.NOT_MET),
        ("process.env.EXECUTOR_ID ?? (await containerName())", {}, Outcome.MET),
        ("process.env.EXECUTOR_ID ?? crypto.randomUUID()", {}, Outcome.NOT_MET),
        ('process.env.EXECUTOR_ID || "worker"', {}, Outcome.NOT_MET),
        ('required("EXECUTOR_ID")', {"EXECUTOR_ID": "worker"}, Outcome.NOT_MET),
        ("process.env.EXECUTOR_ID", {}, Outcome.NOT_SEEN),
        ("`${process.env.SHOP}-${await containerName()}`", {"SHOP": "one"}, Outcome.MET),
    ],
)
def test_a_variable_is_no_executors_id_since_compose_gives_it_to_every_replica(
    tmp_path: Path, expression: str, variables: dict[str, str], outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    work = stack / "src" / "lib" / "server" / "work.ts"
    rewrite(work, "executor = await containerName()", f"executor = {expression}")
    override(stack, {"environment": variables})

    assert outcomes(evidence(stack), Kind.FILES)["FR-5.3"] is outcome


@pytest.mark.parametrize(
    ("label", "outcome"),
    [
        ("{name}", Outcome.MET),
        ("{service}-{container_name}", Outcome.MET),
        ("{service}", Outcome.NOT_MET),
        ("{container_name}-{short_id}", Outcome.NOT_MET),
        ("{nonsense}", Outcome.NOT_MET),
        ("{container_name", Outcome.NOT_MET),
    ],
)
def test_the_declared_id_is_one_containers_and_outlives_it(
    tmp_path: Path, label: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    override(stack, {"labels": {"healthagent.dbos.executor": label}})

    assert outcomes(evidence(stack), Kind.FILES)["FR-5.3"] is outcome


def test_another_member_of_the_same_name_is_not_the_executors_id(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    work = stack / "src" / "lib" / "server" / "work.ts"
    text = re.sub(r"\bexecutor\b", "name", work.read_text())
    work.write_text(f'{text}const queue = {{ name: "mail" }};')

    assert outcomes(evidence(stack), Kind.FILES)["FR-5.3"] is Outcome.MET


@pytest.mark.parametrize(
    "traefik",
    [
        None,
        {"volumes": ["./traefik.yml:/etc/traefik/traefik.yml:ro"]},
        {"command": ["--configfile=/traefik.yml"]},
        {"command": ["--providers.file.directory=/conf"]},
        {"command": ["--providers.http.endpoint=http://elsewhere/configuration"]},
    ],
    ids=["elsewhere", "mounted", "file", "file provider", "other provider"],
)
def test_a_traefik_that_is_configured_elsewhere_has_its_own_word(
    tmp_path: Path, traefik: dict[str, object] | None
) -> None:
    stack = assemble(tmp_path)
    compose = stack / "compose.yaml"
    files, _, _ = compose.read_text().partition("  traefik:\n")
    own = json.dumps({"image": "traefik:v3.7.15"} | traefik) if traefik is not None else ""
    compose.write_text(f"{files}  traefik: {own}" if own else files)
    seen = evidence(stack)
    found = {j.requirement.id: j.finding for j in judgements(replace(seen, router=UNASKED))}

    assert passing(judgements(seen)), "Traefik's API testifies"
    for id_ in ("FR-7.4", "8.3.1", "AC-6"):
        assert found[id_].outcome is Outcome.NOT_SEEN
        assert "audit with --traefik" in found[id_].remedy


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ("QUEUE);\nconst QUEUE = { workerConcurrency: 4 };(", Outcome.MET),
        ("{ ...QUEUE });\nconst QUEUE = { workerConcurrency: 4 };(", Outcome.MET),
        ("QUEUE", Outcome.NOT_SEEN),
        ("{ ...QUEUE }", Outcome.NOT_SEEN),
        ("{ priorityEnabled: true }", Outcome.NOT_MET),
        ("4", Outcome.MET),
    ],
)
def test_a_queues_bound_is_followed_to_where_it_stands(
    tmp_path: Path, options: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    work = stack / "src" / "lib" / "server" / "work.ts"
    rewrite(work, "{ workerConcurrency: 4 }", options)

    assert outcomes(evidence(stack), Kind.FILES)["7.3.3"] is outcome


@pytest.mark.parametrize(
    ("flags", "labels", "outcome"),
    [
        (["--providers.docker"], {}, Outcome.NOT_MET),
        (["--providers.docker=true"], {"healthcheck.interval": "5s"}, Outcome.NOT_MET),
        (["--providers.docker=true"], {"healthcheck.path": "/readyz"}, Outcome.MET),
    ],
)
def test_the_docker_provider_wants_a_health_check_with_a_path(
    tmp_path: Path, flags: list[str], labels: dict[str, str], outcome: Outcome
) -> None:
    stack = assemble(tmp_path, "no_healthcheck")
    own = {f"traefik.http.services.app.loadbalancer.{key}": value for key, value in labels.items()}
    override(stack, {"labels": own}, traefik={"command": flags})

    assert outcomes(evidence(stack), Kind.FILES)["FR-7.4"] is outcome


def test_a_docker_provider_that_is_switched_off_is_none(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    override(stack, {}, traefik={"command": ["--providers.docker=false"]})

    assert outcomes(evidence(stack))["8.3.1"] is Outcome.NOT_MET


def test_a_healthcheck_that_fails_on_a_ready_replica_enforces_nothing(good: Evidence) -> None:
    assert not isinstance(good.containers, Unseen)
    assert not isinstance(good.agent, Unseen)
    first, *others = good.containers
    sick = replace(first, health="unhealthy", told="exec: curl: not found")
    seen = replace(good, containers=(sick, *others))
    found = {j.requirement.id: j.finding for j in judgements(seen)}

    for id_ in ("FR-7.3", "8.1.3", "AC-6"):
        assert found[id_].outcome is Outcome.NOT_MET
        assert "curl: not found" in found[id_].seen
    replicas = tuple(replace(r, ready=r.id != first.id) for r in good.agent.replicas)
    honest = outcomes(replace(seen, agent=replace(good.agent, replicas=replicas)))
    assert honest["8.1.3"] is Outcome.MET, "it is unhealthy, and Docker says so"


@pytest.mark.parametrize(
    ("told", "remedy"),
    [
        ("exec: curl: not found", "paste Dockerfile.fragment into the Dockerfile"),
        ("failed pid1: PID 1 is sh, not bun or node", "mend what it names"),
    ],
)
def test_whoever_has_the_probe_is_not_told_to_put_it_in(
    good: Evidence, told: str, remedy: str
) -> None:
    assert not isinstance(good.containers, Unseen)
    sick = replace(good.containers[0], health="unhealthy", told=told)
    seen = replace(good, containers=(sick, *good.containers[1:]))
    found = {j.requirement.id: j.finding for j in judgements(seen)}["8.1.3"]
    assert found.remedy.endswith(remedy)


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ('CMD ["true"]', Outcome.NOT_MET),
        ("--interval=5s CMD /bin/true", Outcome.NOT_MET),
        ("CMD exit 0", Outcome.NOT_MET),
        ("CMD curl -f http://127.0.0.1:3000/readyz || exit 0", Outcome.NOT_MET),
        ("CMD curl -f http://127.0.0.1:3000/readyz || exit 1", Outcome.MET),
        ('CMD ["/healthprobe", "--ready"]', Outcome.MET),
    ],
)
def test_a_healthcheck_that_cannot_fail_is_none(
    tmp_path: Path, written: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    dockerfile = stack / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}HEALTHCHECK {written}\n")

    assert outcomes(evidence(stack), Kind.FILES)["8.1.3"] is outcome


@pytest.mark.parametrize("test", [["CMD", "true"], ["CMD-SHELL", "exit 0"], "exit 0"])
def test_nor_does_one_of_the_compose_file_that_cannot_fail_count(
    tmp_path: Path, test: object
) -> None:
    stack = assemble(tmp_path)
    override(stack, {"healthcheck": {"test": test}})

    assert outcomes(evidence(stack), Kind.FILES)["FR-7.3"] is Outcome.NOT_MET


POOLS = (
    ("PRISMA_POOL_MAX", "healthagent.pool.prisma", "FR-6.2"),
    ("DBOS_POOL_MAX", "healthagent.pool.dbos", "7.3.2"),
)


@pytest.mark.parametrize(("variable", "label", "id_"), POOLS, ids=["Prisma", "DBOS"])
@pytest.mark.parametrize(
    ("declared", "value", "outcome"),
    [
        ("env:{}", "4", Outcome.MET),
        ("4", "4", Outcome.MET),
        ("2", "4", Outcome.NOT_MET),
        ("many", "4", Outcome.NOT_MET),
        ("env:{}", "lots", Outcome.NOT_MET),
        ("env:ANOTHER", "4", Outcome.NOT_MET),
    ],
)
def test_a_pool_is_declared_with_the_number_that_bounds_it(
    tmp_path: Path, variable: str, label: str, id_: str, declared: str, value: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    labels = {label: declared.format(variable)}
    override(stack, {"environment": {variable: value}, "labels": labels})
    found = outcomes(evidence(stack), Kind.FILES)

    assert found[id_] is outcome
    assert found["NFR-1.1"].passing is (outcome is Outcome.MET)


@pytest.mark.parametrize("migrated", [False, True])
def test_another_managers_lock_goes_once_buns_has_its_versions(
    tmp_path: Path, migrated: bool
) -> None:
    """``bun install`` without either would choose every version anew."""
    stack = assemble(tmp_path)
    (stack / "package-lock.json").write_text("{}")
    if not migrated:
        (stack / "bun.lock").unlink()
    found = {j.requirement.id: j.finding for j in judgements(evidence(stack), Kind.FILES)}

    assert found["FR-2.2"].remedy.startswith("remove it" if migrated else "run `bun install`")


@pytest.mark.parametrize(("variable", "label", "id_"), POOLS, ids=["Prisma", "DBOS"])
def test_a_pool_is_to_be_declared_by_the_variable_that_the_app_reads(
    tmp_path: Path, variable: str, label: str, id_: str
) -> None:
    stack = assemble(tmp_path)
    compose = stack / "compose.yaml"
    compose.write_text(re.sub(rf"\n *{re.escape(label)}:.*", "", compose.read_text()))
    for path in (stack / "src").rglob("*.ts"):
        path.write_text(path.read_text().replace(variable, "CONNECTIONS"))

    found = {j.requirement.id: j.finding for j in judgements(evidence(stack), Kind.FILES)}

    assert f"label it {label}: env:CONNECTIONS" in found[id_].remedy


@pytest.mark.parametrize(
    ("variable", "small"), [("PRISMA_POOL_MAX", "FR-6.3"), ("DBOS_POOL_MAX", "7.3.2")]
)
@pytest.mark.parametrize(("value", "outcome"), [("4", Outcome.MET), ("50", Outcome.NOT_MET)])
def test_a_pool_may_have_its_size_from_the_image_and_is_small_there_too(
    tmp_path: Path, variable: str, small: str, value: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    compose, dockerfile = stack / "compose.yaml", stack / "Dockerfile"
    compose.write_text(re.sub(rf"\n *{variable}:.*", "", compose.read_text()))
    dockerfile.write_text(f"{dockerfile.read_text()}ENV {variable}={value}\n")
    found = outcomes(evidence(stack), Kind.FILES)

    assert found[small] is outcome
    assert found["NFR-1.1"].passing, "the label names what the image sets"


def override(stack: Path, app: dict[str, object], **others: dict[str, object]) -> None:
    """An override of the app, and of other services; JSON is YAML too."""
    document = {"services": {"app": app, **others}}
    (stack / "compose.override.yaml").write_text(json.dumps(document))


def test_local_processes_are_told_apart_by_their_ports(good: Evidence) -> None:
    assert not isinstance(good.agent, Unseen)
    assert not isinstance(good.router, Unseen)
    local = replace(
        good.agent.replicas[0], id="static:app", address="127.0.0.1", port=3000, ready=False
    )
    router = replace(good.router, servers=frozenset({"127.0.0.1:3001"}))
    found = routed_are_ready(
        replace(good, agent=replace(good.agent, replicas=(local,)), router=router)
    )

    assert found.outcome is Outcome.MET, f"another process has that port: {found.seen}"


@pytest.mark.parametrize(("address", "port"), [(None, 3000), ("172.18.0.5", None)])
def test_a_replica_that_serves_no_http_is_not_missed_by_traefik(
    good: Evidence, address: str | None, port: int | None
) -> None:
    assert not isinstance(good.agent, Unseen)
    worker = replace(good.agent.replicas[0], address=address, port=port)
    found = routed_are_ready(replace(good, agent=replace(good.agent, replicas=(worker,))))

    assert found.outcome is Outcome.MET, f"nobody routes to what serves nothing: {found.seen}"


def running(good: Evidence, *rows: str) -> Container:
    """A container in which these command lines run, the others below the first."""
    assert not isinstance(good.containers, Unseen)
    first, *_ = good.containers
    return replace(first, processes=tree(*rows))


def tree(*rows: str) -> ProcessTree:
    processes = (
        Process(pid, 0 if pid == 1 else 1, None, Path(row.split()[0]).name, tuple(row.split()), "S")
        for pid, row in enumerate(rows, start=1)
    )
    return ProcessTree(tuple(processes))


@pytest.mark.parametrize(
    ("rows", "lines", "outcome"),
    [
        (("bun server.js",), 0, Outcome.NOT_SEEN),
        (("bun server.js",), 1, Outcome.MET),
        (("bun run start", "bun server.js"), 1, Outcome.NOT_SEEN),
        (("bun run start", "bun server.js"), 2, Outcome.MET),
    ],
)
def test_an_app_that_has_been_quiet_so_far_is_not_seen_to_log(
    good: Evidence, rows: tuple[str, ...], lines: int, outcome: Outcome
) -> None:
    assert logs_live(replace(running(good, *rows), lines=lines)).outcome is outcome


@pytest.mark.parametrize(
    ("rows", "launcher"),
    [
        (("bun server.js",), False),
        (("bun run start", "bun server.js"), True),
        (("docker-init -- bun server.js", "bun server.js"), False),
        (("bun server.js", "sh -c pdftotext"), False),
    ],
)
def test_one_process_is_below_bun_run_only_where_that_runs(
    good: Evidence, rows: tuple[str, ...], launcher: bool
) -> None:
    found = runs_one(running(good, *rows), tree(*rows))

    assert found.outcome.passing
    assert ("below `bun run`" in found.seen) is launcher


@pytest.mark.parametrize(
    ("rows", "seen"),
    [
        (("bun server.js", "node job.js"), "1 of its processes is Node (pid 2)"),
        (("node a.js", "bun server.js", "npm start"), "2 of its processes are Node (pid 1)"),
    ],
)
def test_a_container_that_runs_node_says_how_often(
    good: Evidence, rows: tuple[str, ...], seen: str
) -> None:
    assert runs_no_node(running(good, *rows), tree(*rows)).seen == seen


def test_traces_alone_are_telemetry_too(good: Evidence, tmp_path: Path) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}
    container = replace(running(good, "bun server.js"), otel=endpoint)
    stack = assemble(tmp_path / "traces")
    for path in (stack / "package.json", stack / "bun.lock"):
        rewrite(path, "sdk-metrics", "sdk-trace-node")

    assert is_told_where_live(container).outcome is Outcome.MET
    assert outcomes(evidence(stack), Kind.FILES)["NFR-3.1"] is Outcome.MET


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        (("bun server.js",), Outcome.MET),
        (("bun run start", "bun server.js"), Outcome.MET),
        (("bun server.js --watch",), Outcome.MET),
        (("bun --watch server.js",), Outcome.NOT_MET),
        (("bun run start", "bun --hot server.js"), Outcome.NOT_MET),
        (("node server.js",), Outcome.MET),
        (("npm start", "node server.js"), Outcome.MET),
        (("node --watch server.js", "node server.js"), Outcome.NOT_MET),
        (("/bin/sh -c bun server.js", "bun server.js"), Outcome.MET),
        (("docker-init -- bun server.js", "bun server.js"), Outcome.MET),
        (("/bin/sh -c bun server.js & cron -f", "bun server.js", "cron -f"), Outcome.NOT_MET),
        (("s6-svscan /etc/s6", "bun server.js"), Outcome.NOT_MET),
        (("supervisord -n", "bun server.js"), Outcome.NOT_MET),
        (("PM2 v7.0.4: God Daemon (/tmp/pm2)", "node server.js"), Outcome.NOT_MET),
        (("sleep infinity",), Outcome.NOT_MET),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_container_ends_with_its_app_where_nothing_above_it_goes_on(
    good: Evidence, rows: tuple[str, ...], outcome: Outcome
) -> None:
    found = ends_live(running(good, *rows), tree(*rows))

    assert found.outcome is outcome, found.seen
    assert outcome is Outcome.MET or found.remedy


@pytest.mark.parametrize(
    ("start", "outcome"),
    [
        ("exec bun --watch build/index.js", Outcome.NOT_MET),
        ("exec bun --hot build/index.js", Outcome.NOT_MET),
        ("exec bun build/index.js --watch", Outcome.MET),
    ],
)
def test_bun_that_watches_the_files_outlives_the_app(
    tmp_path: Path, start: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    package = stack / "package.json"
    rewrite(package, "exec bun build/index.js", start)

    assert outcomes(evidence(stack), Kind.FILES)["NFR-2.2"] is outcome


@pytest.mark.parametrize(
    ("program", "outcome"),
    [("process.execPath", Outcome.NOT_MET), ('"pdftotext"', Outcome.MET)],
)
def test_an_app_that_starts_itself_once_more_has_workers(
    tmp_path: Path, program: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    (stack / "src" / "more.ts").write_text(
        f'import {{ spawn }} from "node:child_process";\nspawn({program}, ["x"]);\n'
    )

    assert outcomes(evidence(stack), Kind.FILES)["FR-3.2"] is outcome


def test_a_handler_that_ends_elsewhere_is_not_seen_to_end(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    app = next(stack.rglob("hooks.server.ts"))
    handler = 'import { crash } from "$lib/crash";\nprocess.on("uncaughtException", crash);\n'
    app.write_text(handler + app.read_text())

    assert outcomes(evidence(stack), Kind.FILES)["NFR-2.2"] is Outcome.NOT_SEEN


def test_the_worst_look_decides_and_tells_why() -> None:
    found = worst((met("a"), not_seen(UNSEEN), not_met("b", remedy="c"), not_met("b", remedy="c")))

    assert (found.outcome, found.seen, found.remedy) == (Outcome.NOT_MET, "b", "c")
    assert worst((met("a"), resolved("b"))).outcome is Outcome.CONTRADICTION
    assert worst((met("a"), resolved("b"))).seen == "a; b"
    assert worst((resolved("b"), not_seen(UNSEEN))).outcome is Outcome.NOT_SEEN


def test_no_finding_tells_a_password() -> None:
    found = worst((
        met("starts DATABASE_URL=postgres://shop:hunter2@db/shop bun x.js"),
        met("starts bun x.js password=hunter2 --api-key hunter2"),
    ))  # fmt: skip

    assert "hunter2" not in found.seen
    assert "DATABASE_URL=postgres://***@db/shop bun x.js" in found.seen
    assert "password=***" in found.seen


def test_nothing_to_look_at_is_not_seen() -> None:
    assert worst(()).outcome is Outcome.NOT_SEEN
    assert worst(()).remedy


def test_a_service_without_a_container_is_not_seen_whatever_runs_beside_it(good: Evidence) -> None:
    (app,) = good.apps
    service = replace(app.service, name="back", image=None)
    stack = replace(good.stack, apps=("app", "back"))
    found = judgements(replace(good, apps=(app, replace(app, service=service)), stack=stack))
    unseen = {j.requirement.id: j.finding.seen for j in found if not j.finding.outcome.passing}

    for id_ in ("FR-1.2", "FR-3.1", "8.1.1", "FR-7.3", "AC-2"):
        assert "no container runs back" in unseen[id_]
    for id_ in ("FR-5.1", "NFR-1.1", "NFR-1.2"):
        assert "no container is watched as back" in unseen[id_]
    assert "there was nothing to look at" in unseen["8.1.3"], "its image was not looked into"


def test_every_id_is_there_once_and_says_something() -> None:
    ids = [requirement.id for requirement in REQUIREMENTS]

    assert len(set(ids)) == len(ids)
    assert all(requirement.says and requirement.looks for requirement in REQUIREMENTS)


@pytest.mark.parametrize(
    "prefix",
    [f"FR-{n}." for n in range(1, 8)] + [f"NFR-{n}." for n in range(1, 5)]
    + ["7.1.", "7.2.", "7.3.", "8.1.", "8.2.", "8.3.", "9."] + [f"AC-{n}" for n in range(1, 8)],
)  # fmt: skip
def test_every_numbered_part_of_the_document_is_judged(prefix: str) -> None:
    assert any(requirement.id.startswith(prefix) for requirement in REQUIREMENTS)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda r: str(r.id))
def test_a_contradiction_is_documented(requirement: object) -> None:
    contradiction, id_ = getattr(requirement, "contradiction", ""), getattr(requirement, "id", "")
    if contradiction:
        assert id_ in AUDIT, "docs/audit.md names it"


def test_the_document_is_stable(good: Evidence) -> None:
    told = document(good, judgements(good))

    assert list(told) == [
        "document", "files", "project", "services", "passing", "tally", "requirements",
    ]  # fmt: skip
    assert list(told["requirements"][0]) == [
        "id", "says", "outcome", "counts", "seen", "where", "remedy", "contradiction",
    ]  # fmt: skip
    assert told["tally"]["met"] + told["tally"]["contradiction"] == len(REQUIREMENTS)


def test_markdown_has_each_requirement_in_one_row_that_nothing_breaks(tmp_path: Path) -> None:
    seen = evidence(assemble(tmp_path, "logs_go_to_a_file"))
    text = markdown(seen, judgements(seen))
    rows = [line for line in text.splitlines() if line.startswith(("| ✅", "| ☑️", "| ❌", "| ❔"))]

    assert len(rows) == len(REQUIREMENTS)
    assert "does not meet the requirements" in text.splitlines()[0]
    assert all(row.replace(r"\|", "").count("|") in (5, 6) for row in rows)
    assert "❌ | **NFR-3.2**" in text


def test_buns_older_lock_alone_is_authoritative_too(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    (lock,) = stack.rglob("bun.lock")
    lock.rename(lock.with_name("bun.lockb"))
    for dockerfile in stack.rglob("Dockerfile*"):
        dockerfile.write_text(dockerfile.read_text().replace("bun.lock ", "bun.lockb "))

    assert outcomes(evidence(stack), Kind.FILES)["FR-2.2"] is Outcome.MET
