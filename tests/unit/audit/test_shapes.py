"""Projects laid out otherwise than the good one: what cannot be told of them is not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from healthagent.audit.finding import Finding, Outcome
from healthagent.audit.reading.traefik import UNASKED
from healthagent.audit.requirement import Kind
from tests.unit.audit.stacks import assemble, evidence, judgements, outcomes, rewrite

SIZE = "Number(process.env.PRISMA_POOL_MAX ?? 5)"


@pytest.mark.parametrize(
    ("here", "elsewhere", "outcome"),
    [
        ("const size = 5;", "const size = Number(process.env.PAGE_SIZE);", Outcome.NOT_SEEN),
        ("", f"export const size = {SIZE};", Outcome.MET),
        ("", f"export const size = {SIZE};\nlet other = {{ size: env.PAGE }};", Outcome.NOT_SEEN),
    ],
    ids=["its own file says", "another file says", "two files may be meant"],
)
def test_a_name_is_what_its_own_file_says_and_nothing_where_several_may_be_meant(
    tmp_path: Path, here: str, elsewhere: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    library = stack / "src" / "lib" / "server"
    rewrite(library / "database.ts", SIZE, "size")
    (library / "database.ts").write_text(f"{here}\n{(library / 'database.ts').read_text()}")
    (library / "settings.ts").write_text(f"{elsewhere}\n")

    assert outcomes(evidence(stack), Kind.FILES)["7.2.3"] is outcome


CMD = 'CMD ["bun", "run", "start"]'
NOTHING_TOLD = ("FR-1.1", "FR-3.1", "NFR-2.2", "8.1.1", "7.1.2")
"""What rests on which program is started."""


def started(tmp_path: Path, dockerfile: str, **scripts: str) -> dict[str, Finding]:
    """What files tell of the good stack with another start, and with scripts beside it."""
    stack = assemble(tmp_path)
    rewrite(stack / "Dockerfile", CMD, dockerfile)
    for name, text in scripts.items():
        script = stack / "docker" / f"{name}.sh"
        script.parent.mkdir(exist_ok=True)
        script.write_text(text)
    return {j.requirement.id: j.finding for j in judgements(evidence(stack), Kind.FILES)}


@pytest.mark.parametrize(
    ("dockerfile", "script"),
    [
        (f'ENTRYPOINT ["/entry.sh"]\n{CMD}', '#!/bin/sh\nset -e\n# not "$@" alone\nexec "$@"\n'),
        (f'ENTRYPOINT ["/app/docker/entry.sh"]\n{CMD}', '#!/bin/sh\nexec gosu app "$@"\n'),
        ('CMD ["./entry.sh"]', "#!/bin/sh\nbunx prisma migrate deploy\nexec bun run start"),
        ('CMD ["sh", "/entry.sh"]', "if [ -z $A ]; then A=1; fi\nA=1 \\\n  exec bun run start\n"),
        ('CMD ["./entry.sh"]', "#!/bin/sh\ncat <<EOF > x\nexec node y\nEOF\nexec bun run start\n"),
    ],
    ids=["hands over", "as a user", "migrates first", "behind a branch", "behind a heredoc"],
)
def test_a_start_is_followed_through_a_script_to_what_it_executes(
    tmp_path: Path, dockerfile: str, script: str
) -> None:
    found = started(tmp_path, f"COPY docker/entry.sh /\n{dockerfile}", entry=script)

    assert not [id_ for id_, finding in found.items() if finding.outcome is Outcome.NOT_MET]
    assert found["8.1.1"].outcome.passing


def test_a_script_that_stands_in_the_dockerfile_is_read_there(tmp_path: Path) -> None:
    entry = 'COPY <<"EOF" /entry.sh\n#!/bin/sh\nexec node build/index.js\nEOF\nCMD ["/entry.sh"]'
    found = started(tmp_path, entry)

    assert found["FR-1.1"].outcome is Outcome.NOT_MET
    assert "the app is started by node" in found["FR-1.1"].seen


@pytest.mark.parametrize(
    ("script", "broken", "line"),
    [
        ("#!/bin/sh\nnode build/index.js\n", "FR-1.1", 2),
        ("#!/bin/sh\nbun build/index.js\n", "8.1.1", 2),
        ("#!/bin/sh\nbun jobs.ts &\nexec bun run start\n", "FR-3.1", 3),
        ("#!/bin/sh\n\nexec pm2-runtime app.js\n", "9.2", 3),
        ('#!/bin/sh\ncase $1 in\n  all) exec pm2-runtime app.js ;;\nesac\nexec "$@"\n', "9.2", 3),
        ("#!/bin/sh\nexec bun build/index.js > /var/log/app.log\n", "NFR-3.2", 2),
    ],
    ids=["node", "a shell stays", "two programs", "PM2", "PM2 in a branch", "a log file"],
)
def test_what_a_script_starts_is_held_against_the_requirements(
    tmp_path: Path, script: str, broken: str, line: int
) -> None:
    entry = f'COPY docker/entry.sh /\nENTRYPOINT ["/entry.sh"]\n{CMD}'
    found = started(tmp_path, entry, entry=script)

    assert found[broken].outcome is Outcome.NOT_MET
    assert f"docker/entry.sh:{line}" in " ".join(map(str, found[broken].places))


@pytest.mark.parametrize(
    ("dockerfile", "script"),
    [
        ('CMD ["/app/elsewhere.sh"]', ""),
        ('CMD ["/entry.sh"]', '#!/bin/sh\nif [ "$A" ]; then exec bun a.ts; else exec node b; fi\n'),
        ('CMD ["/entry.sh"]', '#!/bin/sh\nmain() { exec bun x.ts; }\nmain "$@"\n'),
        ('CMD ["/entry.sh"]', "#!/bin/sh\nexec $RUNNER x.ts\n"),
        ('CMD ["/entry.sh"]', '#!/bin/sh\nexec "$@"\n'),
        ('CMD ["/app/server"]', ""),
    ],
    ids=["not there", "a branch", "a function", "a variable", "nothing given", "a binary"],
)
def test_a_start_that_cannot_be_followed_is_neither_met_nor_failed(
    tmp_path: Path, dockerfile: str, script: str
) -> None:
    found = started(tmp_path, f"COPY docker/entry.sh /\n{dockerfile}", entry=script)

    for id_ in NOTHING_TOLD:
        assert found[id_].outcome is Outcome.NOT_SEEN, id_
        assert found[id_].remedy and found[id_].places


def test_a_compiled_program_is_told_by_its_name_and_the_remedy_says_so(tmp_path: Path) -> None:
    """``bun build --compile`` puts Bun into the program itself."""
    other, bun = (
        started(tmp_path / name, f'CMD ["/app/{name}"]', entry="") for name in ("server", "bun")
    )

    assert "`bun build --compile`, call it bun" in other["FR-1.1"].remedy
    assert {bun[id_].outcome for id_ in ("FR-1.1", "FR-1.2", "FR-3.1", "8.1.1")} == {Outcome.MET}


def test_an_image_without_a_dockerfile_is_not_seen_to_be_free_of_pm2_and_node(
    tmp_path: Path,
) -> None:
    stack = assemble(tmp_path)
    (stack / "Dockerfile").unlink()
    rewrite(stack / "compose.yaml", "    restart:", "    command: bun run start\n    restart:")
    alone, all_told = outcomes(evidence(stack), Kind.FILES), outcomes(evidence(stack))

    for id_ in ("1.2.1", "9.2", "AC-1", "FR-1.2"):
        assert (alone[id_], all_told[id_]) == (Outcome.NOT_SEEN, Outcome.MET), id_


EXPOSED = '      traefik.enable: "true"\n'


def database(tmp_path: Path, text: str) -> dict[str, Outcome]:
    """What files tell of the good stack with another database.ts."""
    stack = assemble(tmp_path)
    path = stack / "src" / "lib" / "server" / "database.ts"
    path.write_text(f'import {{ PrismaPg }} from "@prisma/adapter-pg";\n{text}\n')
    return outcomes(evidence(stack), Kind.FILES)


def test_an_adapter_that_is_given_options_has_a_pool_that_these_bound(tmp_path: Path) -> None:
    adapter = f"new PrismaPg({{ connectionString, max: {SIZE} }})"
    found = database(tmp_path, f"new PrismaClient({{ adapter: {adapter} }});")

    assert [found[id_] for id_ in ("FR-6.2", "FR-6.3", "7.2.3", "NFR-1.2")] == [Outcome.MET] * 4
    assert found["7.2.2"] is Outcome.NOT_MET, "the document asks for a pg.Pool"


def test_a_source_without_a_pool_is_not_seen_to_have_one(tmp_path: Path) -> None:
    found = database(tmp_path, "new PrismaClient({ adapter: makeAdapter() });")

    assert found["NFR-1.2"] is Outcome.NOT_SEEN


def test_options_of_the_client_that_stand_elsewhere_are_not_seen(tmp_path: Path) -> None:
    found = database(tmp_path, f"new PrismaClient(options); new PrismaPg({{ max: {SIZE} }});")

    assert found["FR-6.1"] is Outcome.NOT_SEEN


OWN = "class Db extends PrismaClient { constructor() { super({ adapter }); } }"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (OWN, Outcome.MET),
        (
            """export class Db extends PrismaClient<Options, "query"> implements OnModuleInit {
              constructor(pool: Pool) { super({ adapter: new PrismaPg(pool) }); }
            }
            new Db(pool);""",
            Outcome.MET,
        ),
        ("class Db extends PrismaClient {}\nnew Db({ adapter });", Outcome.MET),
        ("class Db extends PrismaClient { constructor() { super(); } }", Outcome.NOT_MET),
        ("class Db extends PrismaClient {}\nnew Db();", Outcome.NOT_MET),
        ("class Db extends PrismaClient { constructor() { super(given); } }", Outcome.NOT_SEEN),
        ("class Db extends Other { constructor() { super({ adapter }); } }", Outcome.NOT_MET),
        (
            f"{OWN}\nclass Job extends Task {{ constructor() {{ super(); }} }}",
            Outcome.MET,
        ),
    ],
)
def test_a_class_that_extends_the_client_is_one(
    tmp_path: Path, written: str, found: Outcome
) -> None:
    client = 'import { PrismaClient } from "./client";\nimport { Pool } from "pg";'
    made = "const pool = new Pool({ max });\nconst adapter = new PrismaPg(pool);"

    assert database(tmp_path, f"{client}\n{made}\n{written}")["FR-6.1"] is found


@pytest.mark.parametrize(
    ("beside", "found"),
    [("new Db();", Outcome.MET), ("new PrismaClient({ adapter });", Outcome.NOT_MET)],
)
def test_a_client_beside_a_class_that_extends_it_is_one_more(
    tmp_path: Path, beside: str, found: Outcome
) -> None:
    pool = 'import { Pool } from "pg";\nconst adapter = new PrismaPg(new Pool({ max: 5 }));'

    assert database(tmp_path, f"{pool}\n{OWN}\n{beside}")["NFR-1.2"] is found


def test_what_fills_the_database_is_no_part_of_the_app(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    made = (stack / "src" / "lib" / "server" / "database.ts").read_text()
    for place in (stack / "prisma" / "seed.ts", stack / "prisma" / "seeds" / "users.ts"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(made)

    assert outcomes(evidence(stack), Kind.FILES)["NFR-1.2"] is Outcome.MET


def test_no_pool_of_dboss_grows_where_there_is_one(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    (stack / "src" / "lib" / "server" / "work.ts").unlink()

    assert outcomes(evidence(stack), Kind.FILES)["7.3.3"] is Outcome.NOT_MET


@pytest.mark.parametrize(
    ("file", "outcome"),
    [
        ("src/routes/+page.svelte", Outcome.MET),
        ("src/lib/search.ts", Outcome.NOT_SEEN),
        ("src/lib/server/search.ts", Outcome.NOT_MET),
        ("src/hooks.server.ts", Outcome.NOT_MET),
        ("server.ts", Outcome.NOT_MET),
    ],
)
def test_a_browsers_worker_is_none_of_the_servers(
    tmp_path: Path, file: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    (stack / "svelte.config.js").write_text("export default {};\n")
    with (stack / file).open("a") as script:
        script.write('\nconst worker = new Worker(new URL("./work.js", import.meta.url));\n')

    assert outcomes(evidence(stack), Kind.FILES)["FR-3.2"] is outcome


@pytest.mark.parametrize(
    ("traefik", "labels", "outcome"),
    [
        (["--providers.docker"], "", Outcome.MET),
        (["--providers.docker.exposedByDefault=false"], "", Outcome.NOT_MET),
        (["--providers.docker.exposedByDefault=false"], EXPOSED, Outcome.MET),
        (["--providers.docker.exposedByDefault=false", "--providers.file.directory=/d"], "",
         Outcome.NOT_SEEN),
        (
            [
                "--providers.http.endpoint=http://agent:9180/traefik",
                "--providers.providersThrottleDuration=1s",
            ],
            "",
            Outcome.NOT_MET,
        ),
        (["--providers.http.endpoint=http://other/conf"], "", Outcome.NOT_SEEN),
        (None, "", Outcome.NOT_SEEN),
    ],
    ids=["by default", "none", "exposed", "files beside", "the agent's", "another's", "elsewhere"],
)  # fmt: skip
def test_a_router_that_no_label_makes_may_be_traefiks_own_or_a_files(
    tmp_path: Path, traefik: list[str] | None, labels: str, outcome: Outcome
) -> None:
    stack = assemble(tmp_path)
    compose = stack / "compose.yaml"
    rewrite(compose, "      traefik.http.routers.app.rule: PathPrefix(`/`)\n", labels)
    files, _, _ = compose.read_text().partition("  traefik:\n")
    proxy = json.dumps({"image": "traefik:v3.7.15", "command": traefik})
    compose.write_text(f"{files}  traefik: {proxy}\n" if traefik else files)

    seen = replace(evidence(stack), router=UNASKED)
    assert outcomes(seen, Kind.FILES)["8.3.1"] is outcome


@pytest.mark.parametrize(
    "entry",
    [
        ["bun", "--env-file", ".env", "run", "start"],
        ["bun", "--cwd", "/app", "run", "start"],
        ["bun", "run", "--filter", "shop", "start"],
        ["bun", "--preload", "./otel.ts", "run", "start"],
    ],
)
def test_what_a_flag_takes_is_no_script(tmp_path: Path, entry: list[str]) -> None:
    found = started(tmp_path, f"CMD {json.dumps(entry)}")

    for id_ in ("FR-1.1", "7.1.2", "8.1.1"):
        assert found[id_].outcome.passing, found[id_].seen


@pytest.mark.parametrize(
    ("base", "pinned", "without_node"),
    [
        ("oven/bun:${NOWHERE}", Outcome.NOT_SEEN, Outcome.NOT_SEEN),
        ("${BASE}", Outcome.NOT_SEEN, Outcome.NOT_SEEN),
        ("oven/bun:${BUN_VERSION}", Outcome.MET, Outcome.MET),
    ],
)
def test_an_image_that_an_argument_names_is_not_seen_where_nothing_gives_it(
    tmp_path: Path, base: str, pinned: Outcome, without_node: Outcome
) -> None:
    stack = assemble(tmp_path)
    last = "\n\nFROM oven/bun:${BUN_VERSION}-slim\n"
    rewrite(stack / "Dockerfile", last, f"\n\nFROM {base}\n")
    found = outcomes(evidence(stack), Kind.FILES)

    assert (found["7.1.1"], found["FR-1.2"]) == (pinned, without_node)


def test_a_manager_that_a_dockerfile_may_call_is_not_seen_without_it(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    (stack / "Dockerfile").unlink()
    found = outcomes(evidence(stack), Kind.FILES)

    assert (found["FR-2.1"], found["FR-2.2"]) == (Outcome.NOT_SEEN, Outcome.NOT_SEEN)


def test_code_that_is_not_there_is_not_seen_to_need_no_transpiler(tmp_path: Path) -> None:
    stack = assemble(tmp_path)
    rewrite(stack / "Dockerfile", CMD, 'CMD ["bun", "build/index.js"]')
    (stack / "package.json").unlink()
    alone, all_told = outcomes(evidence(stack), Kind.FILES), outcomes(evidence(stack))

    assert (alone["7.1.3"], all_told["7.1.3"]) == (Outcome.NOT_SEEN, Outcome.MET)
