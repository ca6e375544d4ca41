"""``healthagent audit`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.audit.stacks import assemble
from tests.unit.cli.conftest import Run


@pytest.fixture
def good(tmp_path: Path) -> str:
    return str(assemble(tmp_path) / "compose.yaml")


def test_a_good_stack_ends_0_where_files_alone_are_asked(run: Run, good: str) -> None:
    ran = run("audit", "--static", "--compose", good)

    assert (ran.code, ran.err) == (0, "")
    assert "FR-1.1" in ran.out
    assert ran.out.splitlines()[-1].endswith(": met")


def test_it_begins_with_what_is_held_against_what(run: Run, good: str) -> None:
    first = run("audit", "--static", "--compose", good).out.splitlines()[0]

    assert first == "Bun Runtime Migration & Container-Native Scaling, version 1.0. Service: app."


def test_json_and_markdown_tell_the_same(run: Run, good: str) -> None:
    told = run("audit", "--static", "--compose", good, "--json")
    shown = run("audit", "--static", "--compose", good, "--markdown")

    assert (told.code, shown.code) == (0, 0)
    assert told.json["passing"] is True
    assert all(f"**{r['id']}**" in shown.out for r in told.json["requirements"])


def test_a_fault_ends_1_with_file_line_and_remedy(run: Run, tmp_path: Path) -> None:
    stack = assemble(tmp_path, "restart_always")
    override = str(stack / "compose.override.yaml")
    ran = run(
        "audit", "--static", "--json",
        "--compose", str(stack / "compose.yaml"), "--compose", override,
    )  # fmt: skip
    row = next(r for r in ran.json["requirements"] if r["id"] == "8.1.2")

    assert ran.code == 1
    assert row["outcome"] == "not met"
    assert row["where"] == [{"name": override, "line": 3}]
    assert "unless-stopped" in row["remedy"]


def test_what_does_not_run_is_not_seen_and_ends_1(
    run: Run, good: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.delenv("HEALTHAGENT_AGENT_URL", raising=False)
    monkeypatch.setattr("healthagent.cli.agent.DEADLINE", 0.5)
    ran = run("audit", "--compose", good, "--json")
    found = {r["id"]: r for r in ran.json["requirements"]}

    assert ran.code == 1
    assert found["FR-1.1"]["outcome"] == "not seen"
    assert "there is no socket" in found["FR-1.1"]["seen"]
    assert found["AC-7"]["remedy"].endswith("audit with --acceptance FILE: its output")


def test_an_agent_that_was_named_and_does_not_answer_ends_3(run: Run, good: str) -> None:
    ran = run("audit", "--compose", good, "--agent", "http://127.0.0.1:1")

    assert (ran.code, "no agent answers at http://127.0.0.1:1" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--compose", "missing.yaml"), "missing.yaml: there is no such file"),
        (("--service", "shop"), "--service shop"),
        (("--app", "missing"), "--app missing: is no folder"),
        (("--json", "--markdown"), "exclude each other"),
        (("--traefik", "http://127.0.0.1:1"), "--static and --traefik exclude each other"),
        (("--agent", "http://127.0.0.1:1"), "--static and --agent exclude each other"),
        (("--acceptance", "/nope"), "--static and --acceptance exclude each other"),
        (("--metrics", "http://127.0.0.1:1"), "--static and --metrics exclude each other"),
    ],
)
def test_a_wrong_flag_ends_2_and_says_what_to_do(
    run: Run, good: str, arguments: tuple[str, ...], says: str
) -> None:
    ran = run("audit", "--static", "--compose", good, *arguments)

    assert ran.code == 2
    assert says in ran.err


@pytest.mark.parametrize("text", ["", "no json\n", "{}\n", json.dumps({"criteria": 7}) + "\n"])
def test_an_acceptance_run_without_its_last_line_ends_2(
    run: Run, good: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.delenv("HEALTHAGENT_AGENT_URL", raising=False)
    (tmp_path / "acceptance.txt").write_text(text)
    ran = run("audit", "--compose", good, "--acceptance", str(tmp_path / "acceptance.txt"))

    assert (ran.code, "rollback_lost" in ran.err) == (2, True)


def test_the_files_of_the_folder_are_read_where_none_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(assemble(tmp_path, "init_is_first"))
    ran = run("audit", "--static", "--json")

    assert ran.json["files"] == ["compose.yaml", "compose.override.yaml"]
    assert ran.code == 1


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_the_files_that_compose_file_lists_are_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stack = assemble(tmp_path, "init_is_first")
    (stack / "compose.yaml").rename(stack / "stack.yaml")
    if where == "environment":
        monkeypatch.setenv("COMPOSE_FILE", "stack.yaml:compose.override.yaml")
    else:
        monkeypatch.delenv("COMPOSE_FILE", raising=False)
        (stack / ".env").write_text(
            "COMPOSE_FILE=stack.yaml,compose.override.yaml\nCOMPOSE_PATH_SEPARATOR=,\n"
        )
    monkeypatch.chdir(stack)

    assert run("audit", "--static", "--json").json["files"] == [
        "stack.yaml", "compose.override.yaml",
    ]  # fmt: skip


def test_variables_that_are_set_for_other_audits_do_not_refuse_a_static_one(
    run: Run, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHAGENT_AGENT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HEALTHAGENT_TRAEFIK_API", "http://127.0.0.1:1")

    assert run("audit", "--static", "--compose", good).code == 0
