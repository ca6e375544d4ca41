"""Flags, variables, defaults, and what a wrong one is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.probe.conftest import Ask, Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
URL_FORM = "must read http://HOST:PORT/PATH or unix:/PATH/TO.sock:/PATH"

WRONG_FLAGS = {
    "unknown flag": (["--fast"], "unknown argument '--fast', see healthprobe --help"),
    "unknown word": (["http://x/"], "unknown argument 'http://x/', see healthprobe --help"),
    "empty word": ([""], "unknown argument '', see healthprobe --help"),
    "longer than a flag": (["--https", "x"], "unknown argument '--https', see healthprobe --help"),
    "a mode with a value": (["--live=1"], "unknown argument '--live=1', see healthprobe --help"),
    "no value": (["--http"], "--http needs a value, see healthprobe --help"),
    "no value, last": (["--live", "--timeout"], "--timeout needs a value, see healthprobe --help"),
    "both modes": (["--live", "--ready"], "--live and --ready exclude each other"),
    "no URL": (["--http", "foo"], f"--http 'foo' {URL_FORM}"),
    "empty URL": (["--http="], f"--http '' {URL_FORM}"),
    "agent no URL": (["--agent", "foo"], f"--agent 'foo' {URL_FORM}"),
    "relative socket": (["--http", "unix:a.sock"], f"--http 'unix:a.sock' {URL_FORM}"),
    "TLS": (
        ["--http", "https://a/"],
        "--http 'https://a/' asks for TLS, which the probe does not speak; use http://",
    ),
    "no host": (["--http", "http:///livez"], "--http 'http:///livez' names no valid host"),
    "no host but a port": (["--http", "http://:80/"], "--http 'http://:80/' names no valid host"),
    "a user": (["--http", "http://a@b/"], "--http '***' must hold no user or password"),
    "half an address": (["--http", "http://127.1/"], "--http 'http://127.1/' names no valid host"),
    "an address too large": (
        ["--http", "http://127.0.0.256/"],
        "--http 'http://127.0.0.256/' names no valid host",
    ),
    "two dots": (["--http", "http://a..b/"], "--http 'http://a..b/' names no valid host"),
    "a dot at the end": (["--http", "http://a./"], "--http 'http://a./' names no valid host"),
    "a label too long": (
        ["--http", f"http://{'a' * 64}/"],
        f"--http 'http://{'a' * 64}/' names no valid host",
    ),
    "a query without path": (["--http", "http://a?b"], "--http 'http://a?b' names no valid host"),
    "no port": (["--http", "http://a:/"], "--http 'http://a:/' has no port from 1 to 65535"),
    "port 0": (["--http", "http://a:0/"], "--http 'http://a:0/' has no port from 1 to 65535"),
    "port 65536": (
        ["--http", "http://a:65536/"],
        "--http 'http://a:65536/' has no port from 1 to 65535",
    ),
    "signed port": (
        ["--http", "http://a:+1/"],
        "--http 'http://a:+1/' has no port from 1 to 65535",
    ),
    "no IPv6": (
        ["--http", "http://[::x]/"],
        "--http 'http://[::x]/' holds no IPv6 address between [ and ]",
    ),
    "open bracket": (
        ["--http", "http://["],
        "--http 'http://[' holds no IPv6 address between [ and ]",
    ),
    "no closing bracket": (
        ["--http", "http://[::1:3000/"],
        "--http 'http://[::1:3000/' holds no IPv6 address between [ and ]",
    ),
    "IPv6 with a zone": (
        ["--http", "http://[fe80::1%eth0]/"],
        "--http 'http://[fe80::1%eth0]/' holds no IPv6 address between [ and ]",
    ),
    "behind the bracket": (
        ["--http", "http://[::1]8/"],
        "--http 'http://[::1]8/' has no port from 1 to 65535",
    ),
    "a space": (
        ["--http", "http://a/ b"],
        "--http 'http://a/ b' holds a space, a control byte or a byte beyond ASCII",
    ),
    "a second request": (
        ["--http", "http://a/\r\nX: y"],
        "--http 'http://a/  X: y' holds a space, a control byte or a byte beyond ASCII",
    ),
    "beyond ASCII": (
        ["--http", "http://ä/"],
        "--http 'http://ä/' holds a space, a control byte or a byte beyond ASCII",
    ),
    "no text": (
        ["--http", b"http://\xff/"],
        r"--http 'http://\xff/' holds a space, a control byte or a byte beyond ASCII",
    ),
    "URL too long": (
        ["--http", "http://a/" + "b" * 1016],
        f"--http 'http://a/{'b' * 91}...' has more than 1024 bytes",
    ),
    "socket path too long": (
        ["--http", f"unix:/{'a' * 107}:/livez"],
        f"--http 'unix:/{'a' * 94}...' names a socket by more than 107 bytes",
    ),
    "no name": (["--pid1", ""], "--pid1 '' must read NAME or NAME,NAME"),
    "an empty name": (["--pid1", "bun,"], "--pid1 'bun,' must read NAME or NAME,NAME"),
    "too many names": (
        ["--pid1", "a," * 128 + "b"],
        f"--pid1 '{'a,' * 50}...' has more than 256 bytes",
    ),
    **{
        f"timeout {value!r}": (
            ["--timeout", value],
            f"--timeout '{value}' is no whole number of milliseconds from 1 to 3600000",
        )
        for value in ["", "0", "-1", "3600001", "5s", "1.5", " 5", "9" * 30]
    },
}


@pytest.mark.parametrize(("flags", "fault"), WRONG_FLAGS.values(), ids=WRONG_FLAGS)
def test_a_wrong_flag_is_named_with_its_value_and_what_to_write(
    ask: Ask, flags: list[str | bytes], fault: str
) -> None:
    said = ask(*flags)
    assert said.status == 1
    assert said.line == f"failed options: {fault}; pid1=- http=- agent=- ms=N"


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"HEALTHPROBE_HTTP": "foo"}, f"HEALTHPROBE_HTTP 'foo' {URL_FORM}"),
        ({"HEALTHPROBE_AGENT": "foo"}, f"HEALTHPROBE_AGENT 'foo' {URL_FORM}"),
        ({"HEALTHPROBE_PID1": ","}, "HEALTHPROBE_PID1 ',' must read NAME or NAME,NAME"),
        (
            {"HEALTHPROBE_TIMEOUT": "5s"},
            "HEALTHPROBE_TIMEOUT '5s' is no whole number of milliseconds from 1 to 3600000",
        ),
        ({"PORT": "http"}, "PORT 'http' is no port from 1 to 65535"),
        ({"PORT": "0"}, "PORT '0' is no port from 1 to 65535"),
    ],
)
def test_a_wrong_variable_is_named(ask: Ask, variables: dict[str, str], fault: str) -> None:
    said = ask(variables=variables)
    assert said.status == 1
    assert said.line == f"failed options: {fault}; pid1=- http=- agent=- ms=N"


@pytest.mark.parametrize(
    ("flags", "variables", "fault"),
    [
        (["--http", "http://u:hunter2@127.0.0.1:1/livez"], {}, "--http '***' must hold no user"),
        (["--http=http://u:hun@ter2@[::1]:1/"], {}, "--http '***' must hold no user"),
        (["--tcp", "u:hunter2@db:5432"], {}, "--tcp '***' must hold no user"),
        ([], {"HEALTHPROBE_AGENT": "http://u:hunter2@a:9180"}, "HEALTHPROBE_AGENT '***' must hold"),
        (["--http", "http://u:hunter2/@a"], {}, "--http '***' has no port"),
        (["--http", "http://u:hun ter2@a/"], {}, "--http '***' holds a space"),
        (["--http", "https://u:hunter2@a/"], {}, "--http '***' asks for TLS"),
        (["--http", f"http://u:hunter2@{'a' * 1024}/"], {}, "--http '***' has more than 1024"),
        (["http://u:hunter2@a/"], {}, "unknown argument '***', see"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(
    ask: Ask, flags: list[str], variables: dict[str, str], fault: str
) -> None:
    said = ask(*flags, variables=variables)
    assert said.status == 1
    assert said.line.startswith(f"failed options: {fault}")
    assert "ter2" not in said.line


def test_an_at_in_a_path_is_asked_for(ask: Ask, serve: Serve) -> None:
    server = serve(OK)
    assert ask("--http", f"{server.url}/@app").status == 0
    assert {request.split(b" ")[1] for request in server.requests} == {b"/@app"}


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        ([], b"/readyz"),
        (["--ready"], b"/readyz"),
        (["--live"], b"/livez"),
        (["--live", "--live"], b"/livez"),
    ],
)
def test_without_a_url_the_applications_port_is_asked(
    ask: Ask, serve: Serve, flags: list[str], path: bytes
) -> None:
    server = serve(OK)
    said = ask(*flags, variables={"PORT": server.url.rpartition(":")[2]})
    assert said.status == 0
    assert {request.split(b" ")[1] for request in server.requests} == {path}


def test_without_a_port_it_is_3000(ask: Ask) -> None:
    said = ask(variables={"PORT": "", "HEALTHPROBE_TIMEOUT": "300"})
    assert " http://127.0.0.1:3000/readyz" in said.line or said.status == 0


@pytest.mark.parametrize("at", ["127.0.0.1", "::1", "unix"])
@pytest.mark.parametrize(("mode", "path"), [("--live", b"/livez"), ("--ready", b"/readyz")])
def test_without_a_path_it_is_the_modes(
    ask: Ask, serve: Serve, at: str, mode: str, path: bytes
) -> None:
    server = serve(OK, at=at)
    ask(mode, "--http", server.url.removesuffix(":") if at == "unix" else server.url)
    assert [request.split(b" ")[1] for request in server.requests] == [path, path]


def test_a_flag_beats_its_variable(ask: Ask, serve: Serve, nobody: str) -> None:
    wrong = {
        "HEALTHPROBE_HTTP": "wrong",
        "HEALTHPROBE_AGENT": "wrong",
        "HEALTHPROBE_TIMEOUT": "wrong",
        "PORT": "wrong",
    }
    url = serve(OK).url
    said = ask(f"--http={url}", f"--agent={nobody}", "--timeout=5000", variables=wrong)
    assert said.line == "ok pid1=- http=200 agent=unreachable:refused ms=N"


def test_variables_are_enough(ask: Ask, serve: Serve, nobody: str) -> None:
    variables = {
        "HEALTHPROBE_HTTP": f"{serve(OK).url}/livez",
        "HEALTHPROBE_AGENT": nobody,
        "HEALTHPROBE_PID1": "",
        "HEALTHPROBE_TIMEOUT": "5000",
    }
    said = ask(variables=variables)
    assert said.line == "ok pid1=- http=200 agent=unreachable:refused ms=N"


def test_of_a_flag_that_stands_twice_the_later_counts(ask: Ask, serve: Serve) -> None:
    assert ask("--http", serve(OK).url, "--expect", "404", "--expect", "200").status == 0


@pytest.mark.parametrize("flags", [["--help"], ["-h"], ["--live", "--help", "--wrong"]])
def test_help(native: Path, twin: Path, flags: list[str]) -> None:
    texts = [
        subprocess.run([*command, *flags], capture_output=True, check=True, text=True).stdout
        for command in ([native], [sys.executable, twin])
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) <= 4096
    options = set(re.findall(r"--[a-z0-9]+", texts[0]))
    named = {"--http", "--tcp", "--expect", "--body", "--header", "--pid1", "--agent", "--timeout"}
    assert options == named | {"--live", "--ready", "--wait", "--help"}
