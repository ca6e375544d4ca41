"""Writing the probe's one line.

Whoever reads `docker inspect` at night reads this. The first check that failed, in the order pid1,
http and tcp as given, agent, gives the reason; the facts behind it show what all of them found.
"""

import cython
from cython.cimports.exchange import (
    ANSWERED,
    BROKEN,
    CLOSED,
    CONNECTED,
    CONNECTING,
    GARBAGE,
    LARGE_HEAD,
    NO_CONNECTION,
    NO_NAMESERVER,
    NO_SUCH_NAME,
    RESOLVING,
    Exchange,
)
from cython.cimports.process import (
    PROCESS_CHILDLESS,
    PROCESS_FOREIGN,
    PROCESS_OK,
    PROCESS_UNSEEN,
    command_of,
    process_name,
)
from cython.cimports.response import response_reason
from cython.cimports.system import (
    EACCES,
    EADDRNOTAVAIL,
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTUNREACH,
    ENETDOWN,
    ENETUNREACH,
    ENOENT,
    EPERM,
    EPIPE,
    ETIMEDOUT,
)
from cython.cimports.text import (
    Slice,
    Text,
    is_blank,
    slice_find,
    slice_from,
    slice_of,
    slice_until,
    text_add,
    text_blank_controls,
    text_byte,
    text_number,
    text_quote,
    text_slice,
    text_view,
)
from cython.cimports.url import url_print


def report_findings(line, findings, options):
    """Fold the findings into the line and the verdict."""
    reason: Text
    reason.length = 0
    healthy: cython.bint = False
    failed: cython.pointer(Exchange) = first_failed(findings)
    if pid1_failed(findings.pid1):
        text_add(line, b"failed pid1: ")
        explain_pid1(cython.address(reason), findings.pid1, options.pid1_names)
    elif failed != cython.NULL:
        text_add(line, b"failed tcp: " if failed.question.tcp else b"failed http: ")
        explain_exchange(cython.address(reason), failed, options.timeout_ms)
    elif agent_failed(findings.agent):
        text_add(line, b"failed agent: ")
        explain_exchange(cython.address(reason), findings.agent, options.timeout_ms)
    else:
        text_add(line, b"ok")
        healthy = True
    text_slice(line, slice_until(text_view(cython.address(reason)), REASON_ROOM))
    if not healthy:
        text_byte(line, b";")
    write_facts(line, findings, options)
    text_blank_controls(line)
    return healthy


def report_fault(line, fault):
    """Write the line of a probe that could not start: its options are wrong."""
    text_add(line, b"failed options: ")
    text_slice(line, slice_until(fault, REASON_ROOM))
    text_add(line, b"; pid1=- http=- agent=-")
    text_blank_controls(line)


def report_time(line, elapsed_ms):
    """End the line with how long all of it took."""
    text_add(line, b" ms=")
    text_number(line, elapsed_ms)
    text_byte(line, b"\n")


def pid1_failed(judgement):
    """Tell whether PID 1 is wrong; one that cannot be seen or told is unknown, not failed."""
    if judgement == cython.NULL:
        return False
    return judgement.verdict != PROCESS_OK and judgement.verdict != PROCESS_UNSEEN


def first_failed(findings):
    """Find the first check that failed; NULL when there is none."""
    i: cython.size_t
    for i in range(findings.count):
        if check_failed(cython.address(findings.checks[i])):
            return cython.address(findings.checks[i])
    return cython.NULL


def check_failed(exchange):
    """Tell whether the one that was asked did not say that it is well."""
    if exchange.question.tcp:
        return exchange.outcome != CONNECTED
    if exchange.outcome != ANSWERED or not exchange.response.expected:
        return True
    return exchange.question.body.length > 0 and not exchange.response.found


def agent_failed(exchange):
    """Tell whether the agent said no; one that says nothing, or anything else, does not count."""
    if exchange == cython.NULL:
        return False
    return exchange.outcome == ANSWERED and exchange.response.status == AGENT_FAILED


def explain_pid1(text, judgement, names):
    """Say what is wrong with PID 1, or with the application below it."""
    if judgement.application.pid == 1 or judgement.verdict == PROCESS_CHILDLESS:
        text_add(text, b"PID 1")
        if judgement.verdict != PROCESS_FOREIGN:
            text_add(text, b" (")
            write_name(text, cython.address(judgement.first), names)
            text_add(text, b")")
    else:
        write_name(text, cython.address(judgement.application), names)
        text_add(text, b" (PID ")
        text_number(text, judgement.application.pid)
        text_add(text, b", below PID 1)")
    if judgement.verdict == PROCESS_FOREIGN:
        text_add(text, b" is ")
        write_name(text, cython.address(judgement.first), names)
        text_add(text, b", not ")
        write_alternatives(text, names)
    elif judgement.verdict == PROCESS_CHILDLESS:
        text_add(text, b" has no ")
        write_alternatives(text, names)
        text_add(text, b" below it")
    elif judgement.application.state == b"T":
        text_add(text, b" is stopped: it does nothing until it gets SIGCONT")
    elif judgement.application.state == b"t":
        text_add(text, b" is halted by a debugger")
    else:
        text_add(text, b" has ended and waits to be reaped")


def explain_exchange(text, exchange, timeout_ms):
    """Say what came of a question."""
    if exchange.outcome == ANSWERED:
        explain_answer(text, exchange)
        return
    rest: Slice = behind_bar(outcome_words(exchange))
    while rest.length:
        length: cython.size_t = slice_find(rest, b"%")
        text_slice(text, slice_until(rest, length))
        rest = slice_from(rest, length)
        if rest.length:
            write_mark(text, rest.start[1], exchange, timeout_ms)
            rest = slice_from(rest, MARK_SIZE)


def write_mark(text, mark, exchange, timeout_ms):
    """Write what a mark in a sentence stands for: the URL, the host, the fault or the deadline."""
    if mark == b"u":
        url_print(text, cython.address(exchange.question.url))
    elif mark == b"h":
        text_slice(text, exchange.question.url.host)
    elif mark == b"f":
        text_slice(text, behind_bar(fault_words(exchange.fault)))
    else:
        text_add(text, b" within ")
        text_number(text, timeout_ms)
        text_add(text, b" ms")


def explain_answer(text, exchange):
    """Say what is wrong with an answer: its status, or else its body."""
    url_print(text, cython.address(exchange.question.url))
    text_add(text, b" answered ")
    text_number(text, exchange.response.status)
    if exchange.response.expected:
        text_add(text, b" without ")
        text_quote(text, exchange.question.body)
    elif exchange.question.expect.length:
        text_add(text, b", expected ")
        text_slice(text, exchange.question.expect)
    reason: Slice = response_reason(cython.address(exchange.response))
    if reason.length:
        text_add(text, b": ")
        text_slice(text, reason)


def write_facts(line, findings, options):
    """Write what every check found; "-" stands for a check that was not asked for."""
    text_add(line, b" pid1=")
    if findings.pid1 == cython.NULL:
        text_byte(line, b"-")
    else:
        write_pid1(line, findings.pid1, options.pid1_names)
    write_checks(line, findings, False)
    write_checks(line, findings, True)
    text_add(line, b" agent=")
    if findings.agent == cython.NULL:
        text_byte(line, b"-")
    else:
        write_agent(line, findings.agent)


def write_checks(line, findings, tcp):
    """Write what came of the checks of one kind; of TCP nothing where there is none."""
    written: cython.bint = False
    i: cython.size_t
    for i in range(findings.count):
        if findings.checks[i].question.tcp == tcp:
            if written:
                text_byte(line, b",")
            else:
                text_add(line, b" tcp=" if tcp else b" http=")
            write_outcome(line, cython.address(findings.checks[i]))
            written = True
    if not written and not tcp:
        text_add(line, b" http=-")


def write_pid1(line, judgement, names):
    """Write the name of PID 1, and behind ">" that of the application below it."""
    if judgement.verdict == PROCESS_UNSEEN:
        text_add(line, b"unknown")
        return
    write_name(line, cython.address(judgement.first), names)
    if judgement.application.pid != 1 and judgement.verdict != PROCESS_CHILDLESS:
        text_byte(line, b">")
        write_name(line, cython.address(judgement.application), names)


def write_agent(line, exchange):
    """Write the agent's word, or that there is none."""
    if exchange.outcome != ANSWERED:
        text_add(line, b"unreachable:")
        write_outcome(line, exchange)
    elif FIRST_AGENT_OK <= exchange.response.status <= LAST_AGENT_OK:
        text_add(line, b"ok")
    elif exchange.response.status == AGENT_FAILED:
        text_add(line, b"failed")
    else:
        text_add(line, b"unknown:")
        write_outcome(line, exchange)


def write_outcome(line, exchange):
    """Write a status, or one word for why there is none."""
    if exchange.outcome == ANSWERED:
        text_number(line, exchange.response.status)
        return
    words: Slice = slice_of(outcome_words(exchange))
    if exchange.outcome == NO_CONNECTION or exchange.outcome == BROKEN:
        words = slice_of(fault_words(exchange.fault))
    text_slice(line, slice_until(words, slice_find(words, b"|")))


def outcome_words(exchange):
    """Say an outcome: one word for the facts, and behind the bar a sentence for the reason.

    In the sentence %u is the URL, %h the host, %f the fault, %t how long was waited.
    """
    outcome: Outcome = exchange.outcome
    if outcome == CONNECTED:
        return b"ok"
    if outcome == NO_SUCH_NAME:
        return b"unresolved|cannot resolve %h: no such name"
    if outcome == NO_NAMESERVER:
        return b"unresolved|cannot resolve %h: no name server answers"
    if outcome == NO_CONNECTION:
        return b"|cannot connect to %u: %f"
    if outcome == BROKEN:
        return b"|%u broke the connection: %f"
    if outcome == CLOSED:
        return b"closed|%u closed the connection before its answer was complete"
    if outcome == GARBAGE:
        return b"garbage|%u does not answer in HTTP/1"
    if outcome == LARGE_HEAD:
        return b"oversized|%u answered with more than 65536 bytes of headers"
    if exchange.phase == RESOLVING:
        return b"timeout|cannot resolve %h: no name server answers%t"
    if exchange.phase == CONNECTING:
        return b"timeout|cannot connect to %u: no answer%t"
    if exchange.response.head_length == 0:
        return b"timeout|%u took the connection and then said nothing%t"
    return b"timeout|%u did not finish its answer%t"


def fault_words(fault):
    """Say an error number: one word for the facts, and behind the bar words for the reason."""
    if fault == ECONNREFUSED:
        return b"refused|connection refused, nothing listens there"
    if fault == ECONNRESET or fault == EPIPE:
        return b"reset|connection reset"
    if fault == ENOENT:
        return b"missing|no such socket"
    if fault == EACCES or fault == EPERM:
        return b"denied|permission denied"
    if fault == EAGAIN:
        return b"busy|its queue of connections is full"
    if fault == ETIMEDOUT:
        return b"timeout|connection timed out"
    if fault == EHOSTUNREACH or fault == ENETUNREACH or fault == ENETDOWN or fault == EADDRNOTAVAIL:
        return b"unreachable|no route to it"
    return b"error|system error"


def behind_bar(words):
    """See the sentence of "word|sentence"."""
    part: Slice = slice_of(words)
    return slice_from(part, slice_find(part, b"|") + 1)


def write_alternatives(text, names):
    """Write "bun or node" for bun,node."""
    while names.length:
        length: cython.size_t = slice_find(names, b",")
        text_slice(text, slice_until(names, length))
        names = slice_from(names, length + 1)
        if names.length:
            text_add(text, b" or ")


def write_name(text, process, names):
    """Write the listed name of a process, or the kernel's, as one word."""
    name: Slice = process_name(process, names)
    if name.length == 0:
        name = command_of(process)
    name = slice_until(name, NAME_FACT_BOUND)
    i: cython.size_t
    for i in range(name.length):
        text_byte(text, b"_" if is_blank(name.start[i]) else name.start[i])
