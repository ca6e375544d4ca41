"""The order desk's images are the last stages of its Dockerfiles, and its files fit together."""

import json
import re
from pathlib import Path

import pytest

from provision import desk
from provision.paths import ROOT

DOCKERFILES = sorted(desk.SOURCE.glob("Dockerfile*"))
APP = "bun server.ts"


def test_only_the_last_stage_is_built_and_takes_from_folders_of_the_others_names() -> None:
    dockerfile = (
        "FROM big AS build\nRUN fetch\n\nFROM small\nCOPY --from=build /app/out ./out\n"
        "COPY one two ./\nRUN keep --from=build\n"
    )
    assert desk.last_stage(dockerfile) == (
        "FROM small\nCOPY stages/build/app/out ./out\nCOPY one two ./\nRUN keep --from=build\n"
    )


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_healthcheck_is_the_one_that_users_are_told_to_paste(file: Path) -> None:
    fragment = (ROOT / "Dockerfile.fragment").read_text()
    assert healthcheck(file.read_text()) == healthcheck(fragment)


def healthcheck(text: str) -> str:
    found = re.search(r"^HEALTHCHECK .*\\\n.*$", text, re.MULTILINE)
    assert found is not None
    return found[0]


def test_both_runtimes_differ_in_nothing_but_the_runtime() -> None:
    bun, node = (file.read_text().partition("\n")[2] for file in DOCKERFILES)
    as_bun = (
        node.replace("FROM node:24.19.0-bookworm-slim", "FROM oven/bun:1.4.4-slim")
        .replace("USER node", "USER bun")
        .replace('["node", "server.ts"]', '["bun", "server.ts"]')
    )
    assert instructions(as_bun) == instructions(bun)


def instructions(dockerfile: str) -> list[str]:
    return [line for line in dockerfile.splitlines() if line and not line.startswith("#")]


def test_the_image_runs_what_the_start_script_runs_with_no_shell_in_between() -> None:
    package = json.loads((desk.SOURCE / "package.json").read_text())
    assert package["scripts"]["start"] == f"exec {APP}", "without exec, SIGTERM ends the shell only"
    command = json.loads((desk.SOURCE / "Dockerfile").read_text().rpartition("CMD ")[2])
    assert " ".join(command) == APP


def test_bun_is_pinned_to_one_version_everywhere() -> None:
    package = json.loads((desk.SOURCE / "package.json").read_text())
    tags = re.findall(r"oven/bun:([\d.]+)", (desk.SOURCE / "Dockerfile").read_text())
    assert {package["packageManager"].removeprefix("bun@"), package["engines"]["bun"]} == set(tags)


@pytest.mark.parametrize("name", ["bun.lock", "before/package-lock.json"])
def test_lock_files_name_no_registry(name: str) -> None:
    lock = (desk.SOURCE / name).read_text()
    assert '"resolved"' not in lock
    assert re.findall(r'\["[^"]+", "(https?://[^"]+)"', lock) == []
