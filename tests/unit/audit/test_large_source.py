"""An audit answers while somebody waits, however much source there is."""

from __future__ import annotations

import time
from pathlib import Path

from healthagent.audit.reading import gather

FILES, NAMES, SERVICES = 400, 40, 6
SECONDS = 6.0
"""Of the processor: some six times what it takes, and an eighth of what file by name took."""


def test_many_files_of_many_names_are_read_once_and_followed_at_once(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for file in range(FILES):
        lines = (
            f"const name{file}x{n} = pick(name{(file + 1) % FILES}x{n}, name{file}x{n + 1});"
            for n in range(NAMES)
        )
        made = f'import {{ Pool }} from "pg";\nnew Pool({{ max: name{file}x0 }});\n'
        (source / f"f{file}.ts").write_text("\n".join((made, *lines)))
    (tmp_path / "package.json").write_text("{}")
    services = "".join(f"  app{n}: {{ build: . }}\n" for n in range(SERVICES))
    for name in ("compose.yaml", "compose.node.yaml", "compose.test.yaml"):
        (tmp_path / name).write_text(f"services:\n{services}")

    before = time.process_time()
    seen = gather.from_files(gather.Files((tmp_path / "compose.yaml",)))
    taken = time.process_time() - before

    assert len(seen.apps) == SERVICES
    assert taken < SECONDS


def test_it_says_what_it_reads_where_that_takes_a_while(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "compose.yaml").write_text("services:\n  app: { build: . }\n  web: { build: . }\n")
    said: list[str] = []
    for file in range(501):
        if file == 500:
            gather.from_files(gather.Files((tmp_path / "compose.yaml",)), said.append)
            assert said == [], "a small source is read at once"
        (tmp_path / f"f{file}.ts").touch()
    gather.from_files(gather.Files((tmp_path / "compose.yaml",)), said.append)

    assert said == [f"reading 501 files of {tmp_path}"]
