"""What a Dockerfile, a script and a saved image tell."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from healthagent.audit.evidence import Dockerfile
from healthagent.audit.reading import dockerfile, layers
from healthagent.audit.reading.script import Script

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


def saved(*parts: Mapping[str, bytes | str], gzip: bool = False) -> list[bytes]:
    """An image as `docker save` streams it: bytes are files, texts are links."""
    names = [f"{number}/layer.tar" for number in range(len(parts))]
    whole = archive({
        **{name: archive(part, gzip=gzip) for name, part in zip(names, parts, strict=True)},
        "abc.json": b"{}",
        "manifest.json": json.dumps([{"Layers": names}]).encode(),
    })  # fmt: skip
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


def test_the_link_to_bun_in_its_own_image_is_no_node() -> None:
    assert layers.files(saved({"usr/local/bin/node": "/usr/local/bin/bun"})) == {}
    assert layers.files(saved({"usr/bin/nodejs": "/opt/node/bin/node"})) == {
        "node": ("usr/bin/nodejs",)
    }
