"""Projects laid out otherwise than the good one: what cannot be told of them is not seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.audit.finding import Outcome
from healthagent.audit.requirement import Kind
from tests.unit.audit.stacks import assemble, evidence, outcomes, rewrite

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
