"""What the fuzzer drives: every reader of the native probe that sees other people's bytes.

The first byte of an input chooses the reader: of answers, of name servers, of the files below /etc,
of those below /proc, or of arguments and variables. What comes from several places stands in parts,
each with a byte of its own at its end. Beside what the sanitizers find, some things must hold for
every input: they end in `abort`.
"""

import cython
from cython.cimports.dns import DNS_IPV4, DNS_IPV6, dns_read_answer
from cython.cimports.exchange import (
    ANSWERED,
    CONNECTED,
    GARBAGE,
    LARGE_HEAD,
    RECEIVING,
    TIMED_OUT,
    Exchange,
)
from cython.cimports.hosts import (
    ADDRESSES_BOUND,
    NAMESERVERS_BOUND,
    Addresses,
    hosts_find,
    nameservers_read,
)
from cython.cimports.options import NAMES_BOUND, QUESTIONS_BOUND, options_read
from cython.cimports.process import Judgement, process_judge
from cython.cimports.report import Findings, report_fault, report_findings, report_time
from cython.cimports.response import (
    NOT_HTTP,
    OVERSIZED,
    response_begin,
    response_has_status,
    response_read,
)
from cython.cimports.system import O_CLOEXEC, O_RDONLY, memcpy, memset
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
    elif data[0] == b"n":
        read_names(given)
    elif data[0] == b"p":
        judge_pid1(given)
    else:
        read_options(given)
    return 0


def read_options(given):
    """Read arguments, then variables, and report the answer behind them to all that they ask."""
    global environment
    arguments: cython.p_char[ARGUMENTS_BOUND]
    variables: cython.p_char[WORDS_BOUND]
    arguments_copy: cython.char[TEXT_BOUND]
    variables_copy: cython.char[TEXT_BOUND]
    options: Options
    fault: Text
    line: Text
    memset(cython.address(options), 0, cython.sizeof(options))
    fault.length = 0
    line.length = 0
    arguments[0] = arguments_copy  # the program's own name, which nobody reads
    count: cython.int = 1
    count += split_words(arguments + 1, arguments_copy, next_part(cython.address(given)))
    split_words(variables, variables_copy, next_part(cython.address(given)))
    own: cython.pointer(cython.p_char) = environment
    environment = variables
    well: cython.bint = options_read(
        cython.address(options), count, arguments, cython.address(fault)
    )
    environment = own
    if well and not options.help:
        report_answer(cython.address(options), given)
    elif not well:
        hold(fault.length > 0)
        report_fault(cython.address(line), text_view(cython.address(fault)))
        report_time(cython.address(line), 0)
        hold_line(cython.address(line))


def split_words(words, copy, part):
    """Lay out words, which end with NULs, as a C program gets them; return how many there are."""
    part = slice_until(part, TEXT_BOUND - 1)
    memcpy(copy, part.start, part.length)
    copy[part.length] = 0
    count: cython.int = 0
    at: cython.size_t = 0
    while at < part.length and count < WORDS_BOUND - 1:
        words[count] = copy + at
        at += slice_of(copy + at).length + 1
        count += 1
    words[count] = cython.NULL
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
    options.checks = 1
    report_answer(cython.address(options), answer)


def report_answer(options, answer):
    """Write the line for questions that all got this answer."""
    exchanges: Exchange[QUESTIONS_BOUND]
    findings: Findings
    line: Text
    memset(exchanges, 0, cython.sizeof(exchanges))
    findings.pid1 = cython.NULL
    findings.checks = exchanges
    findings.count = options.checks
    findings.agent = cython.NULL
    i: cython.size_t
    for i in range(options.checks):
        answer_question(cython.address(exchanges[i]), cython.address(options.questions[i]), answer)
    if options.asks_agent:
        findings.agent = cython.address(exchanges[options.checks])
        answer_question(findings.agent, cython.address(options.agent), answer)
    line.length = 0
    report_findings(cython.address(line), cython.address(findings), options)
    report_time(cython.address(line), 1)
    hold_line(cython.address(line))


def answer_question(exchange, question, answer):
    """End an exchange as it ends where no more than this answer comes."""
    exchange.question = question
    exchange.phase = RECEIVING
    response_begin(cython.address(exchange.response), question.expect, question.body)
    response_read(cython.address(exchange.response), answer)
    if question.tcp:
        exchange.outcome = CONNECTED
    elif exchange.response.phase == NOT_HTTP:
        exchange.outcome = GARBAGE
    elif exchange.response.phase == OVERSIZED:
        exchange.outcome = LARGE_HEAD
    elif response_has_status(cython.address(exchange.response)):
        exchange.outcome = ANSWERED
    else:
        exchange.outcome = TIMED_OUT


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


def read_names(given):
    """Look a name up in /etc/hosts, and read /etc/resolv.conf."""
    found: Addresses
    found.count = 0
    name: Slice = next_part(cython.address(given))
    begin_feeding(given)
    hosts_find(cython.address(found), name)
    hold(found.count <= ADDRESSES_BOUND)
    found.count = 0
    nameservers_read(cython.address(found))
    hold(1 <= found.count <= NAMESERVERS_BOUND)
    end_feeding()


def judge_pid1(given):
    """Judge a PID 1 by names, with files below /proc in the order in which they are opened."""
    judgement: Judgement
    options: Options
    findings: Findings
    line: Text
    memset(cython.address(options), 0, cython.sizeof(options))
    options.pid1_names = slice_until(next_part(cython.address(given)), NAMES_BOUND)
    begin_feeding(given)
    process_judge(cython.address(judgement), options.pid1_names)
    end_feeding()
    findings.pid1 = cython.address(judgement)
    findings.checks = cython.NULL
    findings.count = 0
    findings.agent = cython.NULL
    line.length = 0
    report_findings(cython.address(line), cython.address(findings), cython.address(options))
    report_time(cython.address(line), 1)
    hold_line(cython.address(line))


def next_part(rest):
    """Take the next part off an input."""
    length: cython.size_t = slice_find(rest[0], END_OF_PART)
    part: Slice = slice_until(rest[0], length)
    rest[0] = slice_from(rest[0], length + 1)
    return part


def begin_feeding(given):
    """Let each file that is opened from now on hold the next part; behind the last, none exists."""
    files.feeding = True
    files.rest = given
    memset(files.open, 0, cython.sizeof(files.open))


def end_feeding():
    """Go back to the system's files."""
    fd: cython.int
    for fd in range(OPEN_BOUND):
        hold(not files.open[fd])
    files.feeding = False


def __wrap_open64(path, flags):
    """Open the next part as a file."""
    if not files.feeding:
        return __real_open64(path, flags)
    hold(slice_of(path).length < TEXT_BOUND)
    hold(flags == O_RDONLY | O_CLOEXEC)
    if files.rest.length == 0:
        return -1
    fd: cython.int = 0
    while fd < OPEN_BOUND and files.open[fd]:
        fd += 1
    hold(fd < OPEN_BOUND)
    files.open[fd] = True
    files.unread[fd] = next_part(cython.address(files.rest))
    return fd


def __wrap_read(fd, buffer, bound):
    """Read a little: a file below /proc may come in as many reads as it has lines."""
    if not files.feeding:
        return __real_read(fd, buffer, bound)
    hold(0 <= fd < OPEN_BOUND and files.open[fd])
    got: Slice = slice_until(slice_until(files.unread[fd], READ_AT_MOST), bound)
    memcpy(buffer, got.start, got.length)
    files.unread[fd] = slice_from(files.unread[fd], got.length)
    return got.length


def __wrap_close(fd):
    """Close a file that is open."""
    if not files.feeding:
        return __real_close(fd)
    hold(0 <= fd < OPEN_BOUND and files.open[fd])
    files.open[fd] = False
    return 0


def hold_line(line):
    """Hold a line to its form: one end, and no control byte before that."""
    text: Slice = text_view(line)
    hold(text.length > 0 and slice_find(text, b"\n") == text.length - 1)
    hold(slice_find(text, 0) == text.length)


def hold(truth):
    """Stop the fuzzer where something does not hold."""
    if not truth:
        abort()
