"""An audit does no work twice, however much source there is, and says what takes a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthagent.audit.evidence import Text
from healthagent.audit.reading import gather
from healthagent.audit.reading.script import Script

FILES, NAMES, SERVICES = 40, 10, 6


def test_many_files_are_read_once_and_a_name_is_looked_for_where_it_is_defined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many services, and Compose files beside these, have the same source."""
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
    read: Counter[Path] = Counter()
    looked_for: Counter[str] = Counter()
    read_text, definitions = Path.read_text, Script.definitions

    def reading(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        read[path] += path.suffix == ".ts"
        return read_text(path, encoding, errors)

    def looking(script: Script, name: str) -> Iterator[Text]:
        looked_for[name] += 1
        return definitions(script, name)

    monkeypatch.setattr(Path, "read_text", reading)
    monkeypatch.setattr(Script, "definitions", looking)
    seen = gather.from_files(gather.Files((tmp_path / "compose.yaml",)))

    assert len(seen.apps) == SERVICES
    assert +read == Counter(source.iterdir())
    assert looked_for.pop("max") == FILES, "the option, which is written in each of them"
    assert looked_for and set(looked_for.values()) == {1}, "each other name is one file's"


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
