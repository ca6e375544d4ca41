"""One question to one URL.

An exchange is driven from outside: `main` polls its socket for `exchange_events`, then calls
`exchange_go_on`, or `exchange_wake` when its time has come. So several run side by side under one
deadline, and another kind of question needs only another file like this.
"""

import cython
from cython.cimports.dns import (
    DNS_FAILED,
    DNS_FOREIGN,
    DNS_FOUND,
    DNS_IPV4,
    DNS_IPV6,
    DNS_MESSAGE_BOUND,
    DNS_PORT,
    DnsAnswer,
    dns_read_answer,
    dns_write_question,
)
from cython.cimports.hosts import addresses_add, hosts_find, nameservers_read
from cython.cimports.response import (
    NOT_HTTP,
    OVERSIZED,
    response_begin,
    response_has_status,
    response_is_final,
    response_read,
)
from cython.cimports.sockets import (
    connect_tcp,
    connect_udp,
    connect_unix,
    connection_fault,
    connection_is_to_itself,
)
from cython.cimports.system import (
    AF_INET,
    AF_INET6,
    EAGAIN,
    ECONNREFUSED,
    EINTR,
    MSG_NOSIGNAL,
    POLLIN,
    POLLOUT,
    close,
    errno,
    getrandom,
    recv,
    send,
)
from cython.cimports.text import (
    Slice,
    Text,
    slice_find,
    slice_has_name,
    slice_line,
    slice_of,
    slice_until,
    text_add,
    text_slice,
    text_view,
)
from cython.cimports.url import HOST_IPV4, HOST_IPV6, HOST_NAME, HOST_SOCKET, Url


def exchange_begin(exchange, question, now_ms):
    """Start to ask: resolve the name, if there is one, and begin to connect."""
    url: cython.pointer(Url) = cython.address(question.url)
    exchange.question = question
    exchange.outcome = PENDING
    exchange.fault = 0
    exchange.fd = -1
    exchange.wake_ms = 0
    exchange.addresses.count = 0
    exchange.address = 0
    exchange.sent = 0
    response_begin(cython.address(exchange.response), question.expect, question.body)
    if url.kind == HOST_NAME:
        begin_name(exchange, now_ms)
        return
    if url.kind == HOST_IPV4:
        addresses_add(cython.address(exchange.addresses), AF_INET, url.address)
    elif url.kind == HOST_IPV6:
        addresses_add(cython.address(exchange.addresses), AF_INET6, url.address)
    try_address(exchange)


def exchange_events(exchange):
    """Tell what to poll the socket for."""
    if exchange.phase == CONNECTING or exchange.phase == SENDING:
        return POLLOUT
    return POLLIN


def exchange_go_on(exchange, now_ms):
    """Do the next step, now that the socket is ready for it."""
    if exchange.phase == RESOLVING:
        hear_nameserver(exchange, now_ms)
    elif exchange.phase == CONNECTING:
        finish_connecting(exchange)
    elif exchange.phase == SENDING:
        send_request(exchange)
    elif exchange.phase == RECEIVING:
        receive(exchange)


def exchange_wake(exchange, now_ms):
    """Stop waiting for a name server that does not answer, and ask the next one."""
    if exchange.phase == RESOLVING:
        ask_nameserver(exchange, now_ms)


def exchange_time_out(exchange):
    """End at the deadline; a status that has already come counts."""
    if exchange.outcome == PENDING:
        outcome: Outcome = TIMED_OUT
        if response_has_status(cython.address(exchange.response)):
            outcome = ANSWERED
        exchange.outcome = outcome
        if exchange.fd >= 0:
            close(exchange.fd)
            exchange.fd = -1


def end(exchange, outcome, fault):
    """End with this outcome."""
    exchange.phase = DONE
    exchange.outcome = outcome
    exchange.fault = fault
    if exchange.fd >= 0:
        close(exchange.fd)
        exchange.fd = -1


def begin_name(exchange, now_ms):
    """Look the name up in the container's own file, then ask its name servers."""
    hosts_find(cython.address(exchange.addresses), exchange.question.url.host)
    if exchange.addresses.count:
        try_address(exchange)
        return
    exchange.phase = RESOLVING
    exchange.nameservers.count = 0
    nameservers_read(cython.address(exchange.nameservers))
    exchange.asked = 0
    exchange.kind = DNS_IPV4
    ask_nameserver(exchange, now_ms)


def ask_nameserver(exchange, now_ms):
    """Send the question to the next name server that takes it."""
    question: Text
    while exchange.asked < NAMESERVER_ROUNDS * exchange.nameservers.count:
        server: cython.size_t = exchange.asked % exchange.nameservers.count
        exchange.asked += 1
        if exchange.fd >= 0:
            close(exchange.fd)
        exchange.fd = connect_udp(cython.address(exchange.nameservers.entries[server]), DNS_PORT)
        if exchange.fd < 0:
            continue
        random: cython.ushort = now_ms & 0xFFFF
        getrandom(cython.address(random), cython.sizeof(random), 0)
        exchange.identity = random
        question.length = 0
        dns_write_question(
            cython.address(question), exchange.question.url.host, exchange.kind, exchange.identity
        )
        if send(exchange.fd, question.bytes, question.length, MSG_NOSIGNAL) >= 0:
            exchange.wake_ms = now_ms + NAMESERVER_PATIENCE_MS
            return
    exchange.wake_ms = 0
    end(exchange, NO_NAMESERVER, 0)


def hear_nameserver(exchange, now_ms):
    """Read what a name server says: addresses, nothing, or that it cannot tell."""
    buffer: cython.char[DNS_MESSAGE_BOUND]
    message: Slice
    answer: DnsAnswer = DNS_FAILED
    got: cython.Py_ssize_t = recv(exchange.fd, buffer, DNS_MESSAGE_BOUND, 0)
    if got >= 0:
        message.start = buffer
        message.length = got
        answer = dns_read_answer(
            message, exchange.kind, exchange.identity, cython.address(exchange.addresses)
        )
    elif errno == EAGAIN or errno == EINTR:
        return
    if answer == DNS_FOREIGN:
        return
    if answer == DNS_FAILED:
        ask_nameserver(exchange, now_ms)
        return
    exchange.wake_ms = 0
    if answer == DNS_FOUND:
        try_address(exchange)
    elif exchange.kind == DNS_IPV4:
        exchange.kind = DNS_IPV6
        exchange.asked -= 1  # the server that has just answered is asked again
        ask_nameserver(exchange, now_ms)
    else:
        end(exchange, NO_SUCH_NAME, 0)


def try_address(exchange):
    """Begin to connect to the address in use."""
    if exchange.fd >= 0:
        close(exchange.fd)
    url: cython.pointer(Url) = cython.address(exchange.question.url)
    if url.kind == HOST_SOCKET:
        exchange.fd = connect_unix(url.host)
    else:
        exchange.fd = connect_tcp(
            cython.address(exchange.addresses.entries[exchange.address]), url.port
        )
    if exchange.fd < 0:
        try_next_address(exchange, -exchange.fd)
        return
    exchange.phase = CONNECTING


def try_next_address(exchange, fault):
    """Go on to the name's next address; when there is none, what the first one said counts."""
    if exchange.fault == 0:
        exchange.fault = fault
    exchange.address += 1
    if exchange.address < exchange.addresses.count:
        try_address(exchange)
    else:
        end(exchange, NO_CONNECTION, exchange.fault)


def finish_connecting(exchange):
    """See how the connection came out."""
    fault: cython.int = connection_fault(exchange.fd)
    if fault:
        try_next_address(exchange, fault)
        return
    if exchange.question.tcp:
        if connection_is_to_itself(exchange.fd):
            try_next_address(exchange, ECONNREFUSED)
        else:
            end(exchange, CONNECTED, 0)
        return
    exchange.phase = SENDING
    send_request(exchange)


def write_request(request, question):
    """Write the whole request: HTTP/1.1, since Bun's server refuses 1.0."""
    text_add(request, b"GET ")
    text_slice(request, question.url.path)
    text_add(request, question.url.suffix)
    text_add(request, b" HTTP/1.1\r\n")
    add_header(request, question.headers, b"Host", question.url.authority)
    add_header(request, question.headers, b"User-Agent", slice_of(b"healthprobe"))
    add_header(request, question.headers, b"Accept", slice_of(b"*/*"))
    add_header(request, question.headers, b"Connection", slice_of(b"close"))
    text_slice(request, question.headers)
    text_add(request, b"\r\n")


def add_header(request, headers, name, value):
    """Write a header of the probe's own, unless the user gave one of that name."""
    while headers.length:
        line: Slice = slice_line(cython.address(headers))
        if slice_has_name(slice_until(line, slice_find(line, b":")), slice_of(name)):
            return
    text_add(request, name)
    text_add(request, b": ")
    text_slice(request, value)
    text_add(request, b"\r\n")


def send_request(exchange):
    """Send as much of the request as the kernel takes; it is the same each time it is written."""
    request: Text
    request.length = 0
    write_request(cython.address(request), exchange.question)
    rest: Slice = text_view(cython.address(request))
    got: cython.Py_ssize_t = send(
        exchange.fd, rest.start + exchange.sent, rest.length - exchange.sent, MSG_NOSIGNAL
    )
    if got < 0:
        if errno != EAGAIN and errno != EINTR:
            # A server may answer and close without reading: what it said is worth more.
            exchange.phase = RECEIVING
        return
    exchange.sent += got
    if exchange.sent == rest.length:
        exchange.phase = RECEIVING


def receive(exchange):
    """Read the next part of the answer."""
    buffer: cython.char[RECEIVE_BOUND]
    got: cython.Py_ssize_t = recv(exchange.fd, buffer, RECEIVE_BOUND, 0)
    if got < 0 and (errno == EAGAIN or errno == EINTR):
        return
    if got > 0:
        bytes: Slice
        bytes.start = buffer
        bytes.length = got
        response_read(cython.address(exchange.response), bytes)
        if not response_is_final(cython.address(exchange.response)):
            return
    if exchange.response.phase == NOT_HTTP:
        end(exchange, GARBAGE, 0)
    elif exchange.response.phase == OVERSIZED:
        end(exchange, LARGE_HEAD, 0)
    elif response_has_status(cython.address(exchange.response)):
        end(exchange, ANSWERED, 0)
    elif got < 0:
        end(exchange, BROKEN, errno)
    else:
        end(exchange, CLOSED, 0)
