"""What a Dockerfile, a script and a saved image tell."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from healthagent.audit.evidence import Dockerfile
from healthagent.audit.finding import Outcome
from healthagent.audit.judgements.processes import ends_live, runs_one
from healthagent.audit.reading import agent, dockerfile, engine, layers, records, traefik
from healthagent.audit.reading.script import Script
from healthagent.config.tables import DOCKER_SOCKET
from healthagent.core.compose import SERVICE
from healthagent.core.observation import ProcessTree, Unseen

NODE = b"\x7fELF" + bytes(layers.PROGRAM)


def dockerfile_of(folder: Path, text: str) -> Dockerfile:
    path = folder / "Dockerfile"
    path.write_text(text)
    found = dockerfile.read(path, {}, None)
    assert isinstance(found, Dockerfile)
    return found


def test_the_last_stage_goes_back_to_its_first_image(tmp_path: Path) -> None:
    found = dockerfile_of(
        tmp_path,
        "ARG V=1.4.4\nFROM node:24 AS build\nRUN a\nFROM oven/bun:${V} AS base\nENV A=1 B=2\n"
        'FROM base\n# no comment\nRUN b \\\n  # nor this\n  && c\nCMD ["bun", "x.js"]\n',
    )

    assert (found.base.value, found.base.place.line) == ("oven/bun:1.4.4", 4)
    assert [base.value for base in found.bases] == ["node:24", "oven/bun:1.4.4"]
    assert [(run.value, run.place.line) for run in found.runs] == [("a", 3), ("b && c", 8)]
    assert {name: text.value for name, text in found.environment.items()} == {"A": "1", "B": "2"}
    assert found.command is not None and not found.command.shell


def test_a_heredoc_belongs_to_its_instruction(tmp_path: Path) -> None:
    found = dockerfile_of(tmp_path, "FROM a\nRUN <<EOF\nnpm ci\nEOF\nCMD bun x.js\n")

    assert "npm ci" in found.runs[0].value
    assert found.command is not None and found.command.shell


def test_an_image_that_is_copied_from_is_one_of_its_bases_and_a_stage_is_none(
    tmp_path: Path,
) -> None:
    found = dockerfile_of(
        tmp_path,
        "FROM a AS one\nCOPY --from=b:2 /b /b\nFROM c\nCOPY --from=one /b /b\n"
        'COPY --from=0 /b /b\nRUN ["npm", "ci"]\n',
    )

    assert [base.value for base in found.bases] == ["a", "b:2", "c"]
    assert [run.value for run in found.last_runs] == ["npm ci"]


def test_a_call_is_found_with_its_options_and_its_line() -> None:
    script = Script(
        "// new Pool({ max: 1 })\nconst text = 'new Pool()';\n"
        "const pool = new pg.Pool({\n  max: Number(env.MAX ?? 5),\n  ...rest,\n  host,\n});\n",
        "db.ts",
    )
    (call,) = script.calls()

    assert call.callee == "Pool"
    assert dict(call.options) == {"max": "Number(env.MAX ?? 5)", "host": "host"}
    assert call.spread
    assert call.place.line == 3


@pytest.mark.parametrize(
    ("text", "callee"),
    [
        ('import { Pool } from "pg";\nnew Pool();', "Pool"),
        ('import { Pool as Pg } from "pg";\nnew Pg();', "Pool"),
        ('import pg, { types } from "pg";\nconst { Pool } = pg;\nnew Pool();', "Pool"),
        ('import * as db from "pg";\nnew db.Pool();', "Pool"),
        ('const Pool = require("pg").Pool;\nnew Pool();', "Pool"),
        ('import { Pool } from "undici";\nnew Pool();', None),
        ('import pg from "postgres-pages";\nnew pg.Pool();', None),
        ('import {\n  fork,\n} from "node:child_process";\nfork("x.js");', "fork"),
        ('import cluster from "cluster";\ncluster.fork();', "fork"),
        ('import { Effect } from "effect";\nEffect.fork(one);', None),
        ("this.fiber.fork();", None),
        ('import { Worker } from "node:worker_threads";\nnew Worker("x.js");', "Worker"),
        ('new Worker(new URL("x.js", import.meta.url));', "Worker"),
        ('import { Worker } from "bullmq";\nnew Worker("mail", send);', None),
        ("class Worker {}\nnew Worker();", None),
        ('const { spawn } = await import("node:child_process");\nspawn("x");', "spawn"),
        ('Bun.spawn(["x"]);', "spawn"),
        ('import { spawn } from "xstate";\nspawn(machine);', None),
    ],
)
def test_a_name_that_others_have_too_counts_by_where_it_comes_from(
    text: str, callee: str | None
) -> None:
    assert [call.callee for call in Script(text, "app.ts").calls()] == ([callee] if callee else [])


@pytest.mark.parametrize(
    ("text", "to_a_file"),
    [
        ('appendFileSync("/var/log/shop.log", line);', True),
        ('await appendFile("shop.log", line);', True),
        ('pino({ transport: { target: "pino/file", options: { destination: "/x" } } });', True),
        ('pino({ transport: { target: "pino/file", options: { destination: 1 } } });', False),
        ('pino({ transport: { target: "pino/file" } });', False),
        ("new winston.transports.DailyRotateFile({ filename });", True),
        ("new winston.transports.Console();", False),
        ('writeFileSync("report.csv", rows);', False),
    ],
)
def test_a_log_is_found_that_goes_to_a_file(text: str, to_a_file: bool) -> None:
    uses = [text.value.split()[0] for text in Script(text, "log.ts").uses()]
    assert uses == ["logfile"] * to_a_file


@pytest.mark.parametrize(
    ("handler", "outlives"),
    [
        ('"uncaughtException", (e) => { console.error(e); process.exit(1); }', ""),
        ("'unhandledRejection', (e) => { throw e; }", ""),
        ('"uncaughtException", ended', ""),
        ('"uncaughtException", (e) => ended(e)', ""),
        ('"uncaughtExceptionMonitor", (e) => console.error(e)', ""),
        ('"uncaughtException", (e) => console.error(e)', "swallow"),
        ('"uncaughtException", () => {}', "swallow"),
        ('"unhandledRejection", console.error', "swallow"),
        ('"uncaughtException", (e) => imported(e)', "handler"),
        ('"uncaughtException", imported', "handler"),
    ],
)
def test_a_handler_outlives_a_failure_unless_it_ends_the_process(
    handler: str, outlives: str
) -> None:
    script = Script(
        f"process.on({handler});\nfunction ended(e) {{ log(e); process.exit(1); }}\n", "app.ts"
    )
    assert [text.value.split()[0] for text in script.uses()] == [outlives] * bool(outlives)


def saved(*parts: Mapping[str, bytes | str], gzip: bool = False) -> list[bytes]:
    """An image as `docker save` streams it: bytes are files, texts are links."""
    names = [f"{number}/layer.tar" for number in range(len(parts))]
    return streamed({
        **{name: archive(part, gzip=gzip) for name, part in zip(names, parts, strict=True)},
        "abc.json": b"{}",
        "manifest.json": manifest(*names),
    })  # fmt: skip


def manifest(*names: str) -> bytes:
    return json.dumps([{"Layers": names}]).encode()


def streamed(files: Mapping[str, bytes | str]) -> list[bytes]:
    whole = archive(files)
    return [whole[start : start + 70_000] for start in range(0, len(whole), 70_000)]


def archive(files: Mapping[str, bytes | str], *, gzip: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if gzip else "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("gzip", [False, True])
def test_node_and_packages_are_found_in_the_layers(gzip: bool) -> None:
    found = layers.files(
        saved(
            {"usr/local/bin/node": NODE},
            {"app/node_modules/pm2/package.json": b"{}", "app/x/node": b"#!/bin/sh\n"},
            gzip=gzip,
        )
    )
    assert found == {
        "node": ("usr/local/bin/node",),
        "pm2": ("app/node_modules/pm2/package.json",),
    }


def test_what_a_later_layer_removes_is_not_there() -> None:
    found = layers.files(
        saved(
            {"usr/bin/node": NODE, "app/node_modules/pm2/package.json": b"{}"},
            {"usr/bin/.wh.node": b"", "app/node_modules/.wh..wh..opq": b""},
        )
    )
    assert found == {}


WITH_NODE = archive({"usr/bin/node": NODE})


@pytest.mark.parametrize(
    "layer",
    [b"\x28\xb5\x2f\xfd packed by zstd", WITH_NODE[:2_000], b""],
    ids=["zstd", "cut off", "empty"],
)
def test_a_layer_that_cannot_be_read_is_not_taken_for_an_empty_one(layer: bytes) -> None:
    with pytest.raises(layers.Unreadable, match=r"layer 0/layer\.tar is no tar archive"):
        layers.files(streamed({"0/layer.tar": layer, "manifest.json": manifest("0/layer.tar")}))


def test_a_layer_that_is_named_and_not_there_cannot_be_read() -> None:
    with pytest.raises(layers.Unreadable, match="layer 1"):
        layers.files(streamed({"0": WITH_NODE, "manifest.json": manifest("0", "1")}))


def test_what_has_no_manifest_is_not_taken_for_an_image_that_holds_nothing() -> None:
    with pytest.raises(ValueError, match=r"no manifest\.json"):
        layers.files(streamed({"0/layer.tar": WITH_NODE}))


def test_an_image_without_layers_holds_nothing() -> None:
    assert layers.files(streamed({"manifest.json": b'[{"Layers": null}]'})) == {}


def test_a_layer_that_is_a_link_to_another_is_that_one_wherever_it_stands() -> None:
    found = layers.files(
        streamed({
            "1/layer.tar": "../0/layer.tar",
            "0/layer.tar": WITH_NODE,
            "manifest.json": manifest("1/layer.tar"),
        })
    )  # fmt: skip
    assert found == {"node": ("usr/bin/node",)}, "follow the link once all is read"


class Saved:
    """An Engine whose every image is saved with these files."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self._files = files

    def containers(self, **_: object) -> list[object]:
        return []

    def inspect_image(self, _: str) -> dict[str, object]:
        return {}

    def get_image(self, _: str) -> list[bytes]:
        return streamed(self._files)

    def close(self) -> None:
        """Nothing is held."""


class Running(Saved):
    """An Engine where one container of a service runs."""

    def __init__(self, service: str, image: str, **state: object) -> None:
        super().__init__({"manifest.json": b'[{"Layers": null}]'})
        self._labels = {SERVICE: service}
        self._image, self._state = image, {"Pid": 7} | state

    def containers(self, **_: object) -> list[object]:
        return [{"Id": "1", "Labels": self._labels}]

    def inspect_container(self, _: str) -> dict[str, object]:
        return {
            "Id": "1", "Name": "/shop-1", "Image": "sha256:1", "State": self._state,
            "Config": {"Image": self._image, "Labels": self._labels},
            "HostConfig": {"RestartPolicy": {"Name": ""}, "LogConfig": {"Type": "json-file"}},
        }  # fmt: skip

    def top(self, *_: object) -> dict[str, object]:
        return {}

    def logs(self, *_: object, **__: object) -> bytes:
        return b""


def test_a_child_that_has_ended_does_not_run_though_nobody_waits_for_it() -> None:
    """Bun as PID 1 does not: an orphan of a health check stays behind below it."""
    rows = [
        ["70", "9", "Ssl", "bun run start"],
        ["71", "70", "Rl", "bun server.js"],
        ["72", "70", "Z", "[bun] <defunct>"],
        ["99", "9", "S", "healthprobe --ready"],
    ]
    inspected = Running("shop", "shop:1", Pid=70).inspect_container("1")

    found = engine.container(inspected, {"Processes": rows}, 1)

    assert isinstance(found.processes, ProcessTree)
    assert [process.pid for process in found.processes.processes] == [70, 71]
    assert ends_live(found, found.processes).outcome is Outcome.MET
    assert runs_one(found, found.processes).outcome is Outcome.CONTRADICTION, "below `bun run`"


def test_an_image_whose_layers_cannot_be_read_is_not_seen_and_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {"blobs/sha256/aa": b"packed", "manifest.json": manifest("blobs/sha256/aa")}
    monkeypatch.setattr(engine, "connect", lambda *_: Saved(files))
    _, images = engine.look("shop", {"app": "shop:1"}, lambda _: None)

    assert isinstance(images, Unseen), "not seen is not met"
    assert "image shop:1 cannot be looked into: layer blobs/sha256/aa" in images.reason
    assert "compression=gzip" in images.remedy


def test_the_image_of_a_service_without_a_container_is_looked_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(engine, "connect", lambda *_: Running("app", "shop:1"))
    containers, images = engine.look("shop", {"app": "shop:1", "back": "back:1"}, said.append)

    assert not isinstance(containers, Unseen)
    assert not isinstance(images, Unseen)
    assert [container.service for container in containers] == ["app"]
    assert [image.name for image in images] == ["shop:1", "back:1"]


def unanswered(*_: object) -> NoReturn:
    raise requests.ConnectionError("no such socket")


@pytest.mark.parametrize(
    ("connect", "else_"),
    [
        (unanswered, "or name it in DOCKER_HOST"),
        (lambda *_: Running("other", "other:1"), "start the stack"),
    ],
    ids=["none answers", "it runs another stack"],
)
def test_another_engine_that_the_docker_program_asks_is_the_remedy(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., Running], else_: str
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "connect", connect)
    there = "set DOCKER_HOST=unix:///run/user/1000/docker.sock"
    for found, remedy in ((there, there), ("", else_)):
        monkeypatch.setattr(engine, "elsewhere", {DOCKER_SOCKET: found}.get)
        containers, _ = engine.look("shop", {"app": "shop:1"}, lambda _: None)
        assert isinstance(containers, Unseen)
        assert remedy in containers.remedy


def test_a_container_that_crashes_in_a_loop_names_its_exit_and_its_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crashed = Running("app", "shop:1", Restarting=True, ExitCode=134)
    monkeypatch.setattr(engine, "connect", lambda *_: crashed)
    containers, _ = engine.look("shop", {"app": "shop:1"}, lambda _: None)

    assert not isinstance(containers, Unseen)
    assert containers[0].processes == Unseen(
        "shop-1 ended with exit code 134, and is restarting", "`docker logs shop-1` may say why"
    )


def test_what_a_healthcheck_printed_last_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [{"Output": "ok"}, {"Output": "OCI runtime exec failed\nexec: curl: not found\n"}]
    sick = Running("app", "shop:1", Health={"Status": "unhealthy", "Log": looks})
    monkeypatch.setattr(engine, "connect", lambda *_: sick)
    containers, _ = engine.look("shop", {"app": "shop:1"}, lambda _: None)

    assert not isinstance(containers, Unseen)
    assert (containers[0].health, containers[0].told) == ("unhealthy", "exec: curl: not found")


def test_the_link_to_bun_in_its_own_image_is_no_node() -> None:
    assert layers.files(saved({"usr/local/bin/node": "/usr/local/bin/bun"})) == {}
    assert layers.files(saved({"usr/bin/nodejs": "/opt/node/bin/node"})) == {
        "node": ("usr/bin/nodejs",)
    }


def test_no_password_is_told_of_a_url_that_was_named() -> None:
    url = "http://me:hunter2@127.0.0.1:1"
    told = (
        records.metrics(url),
        records.named(url, ""),
        traefik.read(url),
        agent.read(url, {"targets": []}, {"servers": []}, ["app"]),
    )
    assert [each for each in told if "hunter2" in str(each)] == [], "it would stand in the report"
