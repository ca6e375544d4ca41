"""The order desk's images are the last stages of its Dockerfiles, and its files fit together."""

import io
import json
import re
from pathlib import Path

import pytest

from provision import desk
from provision.paths import ROOT
from provision.progress import Progress

DOCKERFILES = sorted(desk.SOURCE.glob("Dockerfile*"))
APP = "bun server.ts"


def test_only_the_last_stage_is_built_and_takes_from_folders_of_the_others_names() -> None:
    dockerfile = (
        "FROM big AS build\nRUN fetch\n\nFROM small\nCOPY --from=build /app/out ./out\n"
        "COPY --from=build /app/a /app/b ./\nCOPY one two ./\nRUN keep --from=build\n"
    )
    assert desk.last_stage(dockerfile) == (
        "FROM small\nCOPY stages/build/app/out ./out\n"
        "COPY stages/build/app/a stages/build/app/b ./\nCOPY one two ./\nRUN keep --from=build\n"
    )


def test_the_stages_before_the_last_one_are_played_as_they_are_written() -> None:
    dockerfile = (
        "# What it is.\nFROM big AS build\nRUN fetch\n\n# Why.\nFROM big AS packages\nRUN less\n"
        "\nFROM small\nRUN not this\n"
    )
    assert desk.stages(dockerfile) == {"build": ["RUN fetch"], "packages": ["RUN less"]}


def test_a_stage_sees_what_docker_would_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, app, folder = tmp_path / "app/before", tmp_path / "app", tmp_path / "stage"
    for file in ("app/src/a.ts", "app/package.json", "app/secrets/s", "app/before/package.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    (app / ".dockerignore").write_text("secrets\nbefore\n")
    (context / "Dockerfile").write_text(
        "FROM big AS build\nWORKDIR /app\nCOPY package.json none* ./\nCOPY --from=app . .\n"
        "COPY package.json ./\nFROM small\n"
    )
    folder.mkdir()
    monkeypatch.setattr(desk, "SOURCE", app)

    with Progress(io.StringIO()).step("") as step:
        desk.play(context / "Dockerfile", "build", folder, step)

    seen = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert seen == {"package.json", "src/a.ts", ".dockerignore"}
    assert (folder / "package.json").read_text() == "app/before/package.json"


def test_an_instruction_that_is_not_known_is_not_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM big AS build\nADD a b\nFROM small\n")
    with (
        Progress(io.StringIO()).step("") as step,
        pytest.raises(ValueError, match="ADD a b"),
    ):
        desk.play(tmp_path / "Dockerfile", "build", tmp_path, step)


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


def test_the_first_phase_changes_who_installs_and_nothing_else() -> None:
    was, becomes = ((desk.BEFORE / name).read_text() for name in ("Dockerfile", "Dockerfile.bun"))
    assert desk.last_stage(was) == desk.last_stage(becomes)
    assert installers(was) == {"npm"}
    assert installers(becomes) == {"bun"}


def installers(dockerfile: str) -> set[str]:
    stages = desk.stages(dockerfile).values()
    return {line.split()[1] for lines in stages for line in lines if line.startswith("RUN ")}


def test_the_app_asks_for_the_same_packages_before_and_after_but_for_pm2() -> None:
    before, after = (
        json.loads((folder / "package.json").read_text()) for folder in (desk.BEFORE, desk.SOURCE)
    )
    assert before["dependencies"].pop("pm2")
    for kind in ("dependencies", "devDependencies"):
        assert before[kind] == after[kind]


def test_the_lock_file_of_the_end_has_the_versions_of_the_beginning() -> None:
    before, after = (locked(folder / "bun.lock") for folder in (desk.BEFORE, desk.SOURCE))
    assert after < before, "nothing but PM2, and what only PM2 needs, went"


def locked(lock: Path) -> set[str]:
    """Packages and versions of a bun.lock: `"NAME": ["NAME@VERSION", ...`."""
    return set(re.findall(r'^    "[^"]+": \["([^"]+)"', lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["bun.lock", "before/bun.lock", "before/package-lock.json"])
def test_lock_files_name_no_registry(name: str) -> None:
    lock = (desk.SOURCE / name).read_text()
    assert '"resolved"' not in lock
    assert re.findall(r'\["[^"]+", "(https?://[^"]+)"', lock) == []
