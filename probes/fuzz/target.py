"""What the fuzzer drives: every reader of the native probe that sees other people's bytes.

The first byte of an input chooses the reader. Beside what the sanitizers find, some things must
hold for every input: they end in `abort`.
"""

import cython
from cython.cimports.dns import DNS_IPV4, DNS_IPV6, dns_read_answer
from cython.cimports.exchange import ANSWERED, Exchange
from cython.cimports.hosts import ADDRESSES_BOUND, Addresses
from cython.cimports.options import options_read
from cython.cimports.report import Findings, report_fault, report_findings, report_time
from cython.cimports.response import response_begin, response_has_status, response_read
from cython.cimports.system import memcpy, memset
from cython.cimports.text import (
    TEXT_BOUND,
    slice_find,
    slice_from,
    slice_of,
    slice_until,
    text_view,
)


def LLVMFuzzerTestOneInput(data, size):
    """Give one input to the reader that its first byte names."""
    if size == 0:
        return 0
    given: Slice
    given.start = cython.cast(cython.pointer(cython.const[cython.char]), data) + 1
    given.length = size - 1
    if data[0] == b"r":
        read_response(given)
    elif data[0] == b"d":
        read_dns(given)
    else:
        read_options(given)
    return 0


def read_options(given):
    """Read arguments, which stand between NULs; an answer may follow the first empty one."""
    copy: cython.char[TEXT_BOUND]
    arguments: cython.p_char[ARGUMENTS_BOUND]
    options: Options
    fault: Text
    line: Text
    given = slice_until(given, TEXT_BOUND - 1)
    memset(cython.address(options), 0, cython.sizeof(options))
    fault.length = 0
    line.length = 0
    count: cython.size_t = split_arguments(arguments, copy, given)
    if options_read(cython.address(options), count, arguments, cython.address(fault)):
        if not options.help:
            report(cython.address(options), given)
        return
    hold(fault.length > 0)
    report_fault(cython.address(line), text_view(cython.address(fault)))
    report_time(cython.address(line), 0)
    hold(line.bytes[line.length - 1] == b"\n")


def split_arguments(arguments, copy, given):
    """Lay the arguments out as a C program gets them."""
    memcpy(copy, given.start, given.length)
    copy[given.length] = 0
    arguments[0] = copy + given.length  # the program's own name: empty
    count: cython.size_t = 1
    at: cython.size_t = 0
    while at < given.length and count < ARGUMENTS_BOUND - 1:
        arguments[count] = copy + at
        at += slice_of(copy + at).length + 1
        count += 1
    arguments[count] = cython.NULL
    return count


def read_response(given):
    """Read an answer whole, and again in small parts: both must come to the same."""
    whole: Response
    parts: Response
    line: cython.size_t = slice_find(given, b"\n")
    wanted: Slice = slice_until(given, line)
    answer: Slice = slice_from(given, line + 1)
    response_begin(cython.address(whole), slice_of(b"200-299,401"), wanted)
    response_begin(cython.address(parts), slice_of(b"200-299,401"), wanted)
    response_read(cython.address(whole), answer)
    rest: Slice = answer
    while rest.length:
        cut: cython.size_t = 1 + rest.length % CUT_AT_MOST
        response_read(cython.address(parts), slice_until(rest, cut))
        rest = slice_from(rest, cut)
    hold(whole.phase == parts.phase and whole.status == parts.status)
    hold(whole.found == parts.found and whole.body_length == parts.body_length)
    options: Options
    memset(cython.address(options), 0, cython.sizeof(options))
    options.questions[0].url.suffix = b""
    report(cython.address(options), answer)


def report(options, answer):
    """Write the line for checks that all got this answer."""
    exchange: Exchange
    findings: Findings
    line: Text
    memset(cython.address(exchange), 0, cython.sizeof(exchange))
    exchange.question = cython.address(options.questions[0])
    exchange.outcome = ANSWERED
    response_begin(
        cython.address(exchange.response), exchange.question.expect, exchange.question.body
    )
    response_read(cython.address(exchange.response), answer)
    if exchange.question.tcp or not response_has_status(cython.address(exchange.response)):
        return
    line.length = 0
    findings.pid1 = cython.NULL
    findings.checks = cython.address(exchange)
    findings.count = 1
    findings.agent = cython.address(exchange)
    report_findings(cython.address(line), cython.address(findings), options)
    report_time(cython.address(line), 1)
    hold(line.bytes[line.length - 1] == b"\n")
    text: Slice = text_view(cython.address(line))
    hold(slice_find(text, b"\n") == line.length - 1)
    hold(slice_find(text, 0) == line.length)


def read_dns(given):
    """Read a name server's answer to either question."""
    found: Addresses
    kinds: cython.int[2]
    kinds[0] = DNS_IPV4
    kinds[1] = DNS_IPV6
    i: cython.int
    for i in range(2):
        found.count = 0
        dns_read_answer(given, kinds[i], 0, cython.address(found))
        hold(found.count <= ADDRESSES_BOUND)


def hold(truth):
    """Stop the fuzzer where something does not hold."""
    if not truth:
        abort()
