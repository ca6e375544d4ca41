"""A look at a replica's endpoint tells how the replica behaved, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from healthagent.core.observation import HttpAnswer, Livez, Readyz, Unseen
from healthagent.core.target import Target
from healthagent.names import Found, Names, Unresolved
from healthagent.sources.http import HttpSource

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENCE = 30.0
"""Seconds for looks that are meant to end by themselves."""

IMPATIENCE = 0.2
"""Seconds for looks that are meant to end by their deadline."""

LATE = 0.5
"""Seconds that somebody stands still."""

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def closing(handler: Handler) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    return handle


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """A server on a free port; every connection is the handler's, then closed."""
    server = await asyncio.start_server(closing(handler), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(answer: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return handler


async def look(port: int, timeout: float = PATIENCE, host: str = "127.0.0.1") -> HttpAnswer:
    target = Target(id="static:app", name="app", service="app", address=host, port=port)
    answer = await HttpSource(Livez).look(target, timeout)
    assert isinstance(answer, Livez), f"expected an answer of the kind asked for, got {answer!r}"
    return answer


async def answer_to(reply: bytes) -> HttpAnswer:
    async with serving(saying(reply)) as port:
        return await look(port)


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", 200, "ok"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 302, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nno pool", 503, "no pool"),
        (CHUNKED + b"3\r\nab \r\n2;x=y\r\ncd\r\n0\r\n\r\n", 200, "ab cd"),
        (EARLY_HINTS + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
    ],
)
async def test_a_whole_answer_is_told_with_its_status_and_body(
    reply: bytes, status: int, body: str
) -> None:
    answer = await answer_to(reply)
    assert (answer.status, answer.error, answer.body) == (status, "", body)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x03\x00\x02\x02\x50",  # the alert with which TLS answers plain text
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    ],
)
async def test_what_is_not_http_is_invalid(reply: bytes) -> None:
    answer = await answer_to(reply)
    assert (answer.status, answer.error) == (None, "invalid")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        CHUNKED + b"a\r\nshort",
    ],
)
async def test_an_answer_that_breaks_off_is_a_reset(reply: bytes) -> None:
    answer = await answer_to(reply)
    assert (answer.status, answer.error) == (None, "reset")


async def test_a_connection_that_is_reset_reads_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connection: socket.socket = writer.get_extra_info("socket")
        linger_for_no_time = b"\x01\0\0\0\0\0\0\0"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        writer.transport.abort()

    async with serving(reset) as port:
        assert (await look(port)).error == "reset"


async def test_an_endless_body_is_read_no_further_than_a_reason_needs() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oh\r\n\r\n")
        while True:
            writer.write(b"x" * 1024)
            await writer.drain()

    async with serving(endless) as port:
        answer = await look(port)
    assert (answer.status, answer.body) == (500, "x" * 512)


async def test_control_characters_of_a_body_are_blanked() -> None:
    answer = await answer_to(b"HTTP/1.1 500 Oh\r\n\r\n\x1b[31mred\x00\r\nnext \xff \xc3\xa4")
    assert answer.body.isprintable()
    assert answer.body == "[31mred   next \N{REPLACEMENT CHARACTER} ä"


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
    ],
)
async def test_an_answer_that_is_not_whole_by_the_deadline_times_out(beginning: bytes) -> None:
    enough = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await enough.wait()

    async with serving(stall) as port:
        answer = await look(port, IMPATIENCE)
        enough.set()
    assert (answer.status, answer.error) == (None, "timeout")
    assert IMPATIENCE * 0.9 <= answer.elapsed < PATIENCE


@pytest.mark.parametrize("late", ["the agent", "the replica"])
async def test_only_the_replicas_own_time_counts(late: str) -> None:
    """The answer is sent when an agent that is late has begun to stand still."""
    agent, stands = asyncio.get_running_loop(), threading.Event()

    def stand_still() -> None:
        stands.set()
        time.sleep(LATE)

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(1000)
            if late == "the agent":
                agent.call_soon_threadsafe(stand_still)
                assert stands.wait(PATIENCE)
            else:
                time.sleep(LATE)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(serve, listener))
        answer = await look(listener.getsockname()[1])
        await serving
    assert answer.status == 204
    assert (answer.elapsed < LATE / 2) is (late == "the agent")


async def test_a_trickle_does_not_move_the_deadline() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(trickle) as port:
        assert (await look(port, IMPATIENCE)).error == "timeout"


async def test_a_port_with_no_listener_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (await look(port)).error == "refused"


async def test_a_name_whose_every_address_refuses_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (await look(port, host="localhost")).error == "refused"


async def test_every_address_of_a_name_is_tried() -> None:
    loop = asyncio.get_running_loop()
    for *_, (address, *_) in await loop.getaddrinfo("localhost", None, type=socket.SOCK_STREAM):
        ok = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        async with await asyncio.start_server(closing(ok), str(address), 0) as server:
            answer = await look(server.sockets[0].getsockname()[1], host="localhost")
        assert answer.status == 200, f"only {address} takes connections: {answer}"


@pytest.fixture
def full_listener() -> Iterator[int]:
    """The port of a listener whose accept queue is full, so that the kernel drops each SYN."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.1)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()[1]


async def test_a_connection_that_is_not_taken_is_told_from_a_silent_one(
    full_listener: int,
) -> None:
    assert (await look(full_listener, IMPATIENCE)).error == "unconnected"


async def test_one_that_is_not_to_be_asked_from_here_is_not() -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("what has its address here is another")

    unseen = Unseen("it is elsewhere")
    async with serving(stranger) as port:
        target = Target("static:app", "app", "app", address="127.0.0.1", port=port)
        assert await HttpSource(Readyz, apart=lambda _: unseen).look(target, PATIENCE) is unseen


async def test_who_gave_no_answer_in_time_is_told_at_once(full_listener: int) -> None:
    told: list[int | None] = []
    source = HttpSource(Livez, silent=lambda target: told.append(target.port))

    async def ask(port: int, timeout: float) -> None:
        target = Target("static:app", "app", "app", address="127.0.0.1", port=port)
        await source.look(target, timeout)

    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        stays_silent = never_answers.getsockname()[1]
        await ask(stays_silent, IMPATIENCE)
    await ask(full_listener, IMPATIENCE)
    assert told == [stays_silent, full_listener]
    await ask(stays_silent, PATIENCE)
    async with serving(saying(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")) as port:
        await ask(port, PATIENCE)
    assert told == [stays_silent, full_listener], "a refusal and a failure are answers"


async def test_who_refused_the_connection_is_told() -> None:
    told: list[int | None] = []
    source = HttpSource(Livez, refused=lambda target: told.append(target.port))
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    async with serving(saying(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")) as well:
        for port in (closed, well):
            target = Target("static:app", "app", "app", address="127.0.0.1", port=port)
            await source.look(target, PATIENCE)
    assert told == [closed]


async def test_where_no_way_leads_is_unreachable() -> None:
    broadcast = "255.255.255.255"  # the kernel has no route for TCP to it, whatever its network
    assert (await look(80, host=broadcast)).error == "unreachable"


@pytest.mark.parametrize("host", ["nowhere.invalid", "no..name"])
async def test_a_name_that_does_not_resolve_is_told_from_a_host_that_is_not_reached(
    host: str,
) -> None:
    assert (await look(80, host=host)).error == "name"


async def test_a_name_that_does_not_resolve_in_time_is_told_as_a_name() -> None:
    answered = threading.Event()

    def hang(name: str) -> Found:
        answered.wait()
        return Unresolved("too late")

    target = Target(id="static:app", name="app", service="app", address="db", port=80)
    answer = await HttpSource(Livez, Names(hang)).look(target, IMPATIENCE)
    answered.set()
    assert isinstance(answer, Livez), answer
    assert answer.error == "name", "nothing was dialled yet"


async def test_every_look_is_a_connection_of_its_own() -> None:
    peers: set[tuple[str, int]] = set()

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        await saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(reader, writer)
        await reader.read()

    async with serving(remember) as port:
        for _ in range(3):
            await look(port)
    assert len(peers) == 3


async def test_the_request_asks_for_the_endpoint_of_its_kind_as_a_kubelet_would() -> None:
    asked: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(record) as port:
        target = Target(
            id="static:app",
            name="app",
            service="app",
            address="127.0.0.1",
            port=port,
            livez="/alive",
            readyz="/ready?full=1",
        )
        ready = await HttpSource(Readyz).look(target, PATIENCE)
        await HttpSource(Livez).look(target, PATIENCE)
    assert isinstance(ready, Readyz)
    assert ready.path == "/ready?full=1"
    assert asked[0].startswith(b"GET /ready?full=1 HTTP/1.1\r\n")
    assert asked[1].startswith(b"GET /alive HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in asked[0]
    assert b"\r\nConnection: close\r\n" in asked[0]


@pytest.mark.may_skip
async def test_ipv6_addresses_are_reached() -> None:
    ok = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    try:
        server = await asyncio.start_server(closing(ok), "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with server:
        assert (await look(server.sockets[0].getsockname()[1], host="::1")).status == 200


async def test_a_replica_without_the_endpoint_is_not_looked_at() -> None:
    target = Target(id="static:app", name="app", service="app", address="127.0.0.1", port=None)
    assert isinstance(await HttpSource(Livez).look(target, PATIENCE), Unseen)


async def test_an_agent_out_of_file_descriptors_blames_itself() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with socket.socket() as lowest_free:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno(), hard))
        target = Target(
            id="static:app",
            name="app",
            service="app",
            address="127.0.0.1",
            port=listener.getsockname()[1],
        )
        seen = await HttpSource(Livez).look(target, PATIENCE)
    assert isinstance(seen, Unseen), f"the agent's own want is no fault of the replica's: {seen!r}"
    assert "the agent" in seen.reason
