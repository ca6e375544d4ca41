"""Projects laid out otherwise than the good one: what cannot be told of them is not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.audit.finding import Finding, Outcome
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
        assert found[id_].remedy


def test_an_image_without_a_dockerfile_is_not_seen_to_be_free_of_pm2_and_node(
    tmp_path: Path,
) -> None:
    stack = assemble(tmp_path)
    (stack / "Dockerfile").unlink()
    rewrite(stack / "compose.yaml", "    restart:", "    command: bun run start\n    restart:")
    alone, all_told = outcomes(evidence(stack), Kind.FILES), outcomes(evidence(stack))

    for id_ in ("1.2.1", "9.2", "AC-1", "FR-1.2"):
        assert (alone[id_], all_told[id_]) == (Outcome.NOT_SEEN, Outcome.MET), id_
