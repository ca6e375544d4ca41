"""docs/migration.md names files, services and commands that there are, and proves each phase."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from healthagent.audit.reading import compose
from healthagent.cli import root
from provision import desk
from tests.migration_guide import BLOCKS, COMMANDS, phase

SUBSTITUTION = r"\$\(((?:docker|seq)[^)]*)\)"
ENDS = set("();<>|&")
SUBCOMMANDS = {"build", "exec", "logs", "port", "start", "stop", "top", "up"}
"""Of Compose's, those that the guide uses."""


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_shell(block: str) -> None:
    subprocess.run(["sh", "-n", "-c", block], check=True, timeout=10)


def words_of(text: str) -> list[str]:
    """As a shell splits them; what ends a command, such as ``|`` and ``;``, is a word too."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def called(*program: str) -> Iterator[list[str]]:
    """The words after each call of a program, wherever it stands in a command."""
    for command in COMMANDS:
        for text in (*re.findall(SUBSTITUTION, command), re.sub(SUBSTITUTION, "IN", command)):
            words = words_of(text)
            for at in range(len(words)):
                if tuple(words[at : at + len(program)]) == program:
                    rest = words[at + len(program) :]
                    yield list(takewhile(lambda word: not ENDS.issuperset(word), rest))


@pytest.mark.parametrize("words", list(called("docker", "compose")), ids=" ".join)
def test_every_call_of_compose_names_files_and_services_that_there_are(words: list[str]) -> None:
    files = []
    while words[0] == "--file":
        files.append(words[1])
        words = words[2:]
    assert [file for file in files if not (desk.SOURCE / file).is_file()] == []
    assert files[:1] in ([], ["compose.yaml"])
    assert words[0] in SUBCOMMANDS
    services = [word for word in words[1:] if word in known_services()]
    wholesale = words[0] == "up" and "--no-deps" not in words
    assert services or wholesale, "it names a service, or means all of them"


def known_services() -> set[str]:
    return set(compose.read((desk.SOURCE / "compose.yaml",)).services)


@pytest.mark.parametrize("words", list(called("healthagent")), ids=" ".join)
def test_every_call_of_healthagent_is_one_that_it_understands(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, measured = tmp_path / "examples/desk", tmp_path / "build/acceptance.json"
    folder.mkdir(parents=True)
    measured.parent.mkdir()
    measured.write_text("{}")
    for file in desk.SOURCE.glob("compose*.yaml"):
        shutil.copy(file, folder)
    monkeypatch.chdir(folder)

    with root.make_context("healthagent", list(words)) as ctx:
        name, command, rest = root.resolve_command(ctx, words)
        assert command is not None
        command.make_context(name, rest, parent=ctx)


@pytest.mark.parametrize(
    ("title", "proof"),
    [
        ("0.", "healthagent audit"),
        ("1.", "node_modules/.package-lock.json"),
        ("2.", '"DBOS started"'),
        ("3.", "{{.State.ExitCode}}"),
        ("4.", "healthagent budget"),
        ("5.", "x-replica"),
        ("6.", "dbos.workflow_status"),
    ],
)
def test_every_phase_has_the_command_that_proves_it(title: str, proof: str) -> None:
    assert proof in phase(title)


def test_what_takes_a_phase_back_is_there_for_each_that_has_one() -> None:
    for title in ("1.", "6."):
        assert "way back" in phase(title).lower()
