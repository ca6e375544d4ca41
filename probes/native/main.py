"""healthprobe: tells Docker whether the application in this container is healthy.

Read options, look at PID 1, ask the application and the agent side by side, write one line.
"""

import cython
from cython.cimports.exchange import (
    DONE,
    Exchange,
    exchange_begin,
    exchange_events,
    exchange_go_on,
    exchange_time_out,
    exchange_wake,
)
from cython.cimports.options import QUESTIONS_BOUND, help_print, options_read
from cython.cimports.process import Judgement, process_judge
from cython.cimports.report import Findings, report_fault, report_findings, report_time
from cython.cimports.system import (
    CLOCK_MONOTONIC,
    POLLNVAL,
    POLLOUT,
    SIG_BLOCK,
    SIGPIPE,
    SYS_clock_gettime,
    memset,
    poll,
    pollfd,
    sigaddset,
    sigemptyset,
    sigprocmask,
    sigset_t,
    syscall,
    timespec,
    write,
)
from cython.cimports.text import Text, text_view


def main(argc, argv):
    """Probe once."""
    began_ms: cython.long = clock_ms()
    # Asked before any socket is opened: one of them could get the number of a closed stdout.
    heard: cython.bint = stdout_is_open()
    block_sigpipe()
    options: Options
    line: Text
    fault: Text
    memset(cython.address(options), 0, cython.sizeof(options))
    line.length = 0
    fault.length = 0
    healthy: cython.bint = False
    if not options_read(cython.address(options), argc, argv, cython.address(fault)):
        report_fault(cython.address(line), text_view(cython.address(fault)))
        report_time(cython.address(line), 0)
    elif options.help:
        help_print(cython.address(line))
        healthy = True
    else:
        healthy = probe(cython.address(options), began_ms, cython.address(line))
        report_time(cython.address(line), clock_ms() - began_ms)
    if heard:
        write_line(cython.address(line))
    return EXIT_HEALTHY if healthy else EXIT_UNHEALTHY


def probe(options, began_ms, line):
    """Try once, or with --wait until all is well or the deadline has come.

    An attempt that the deadline cuts short says less than the one before it, which then counts.
    """
    later: Text
    deadline_ms: cython.long = began_ms + options.timeout_ms
    now_ms: cython.long = began_ms
    if not options.wait:
        return attempt(options, now_ms, deadline_ms, line)
    healthy: cython.bint = attempt(options, now_ms, earlier(now_ms + ATTEMPT_MS, deadline_ms), line)
    while not healthy:
        now_ms = clock_ms()
        if now_ms < deadline_ms:  # a negative time would mean for ever
            poll(cython.NULL, 0, earlier(PAUSE_MS, deadline_ms - now_ms))
        now_ms = clock_ms()
        if now_ms >= deadline_ms:
            break
        later.length = 0
        healthy = attempt(
            options,
            now_ms,
            earlier(now_ms + ATTEMPT_MS, deadline_ms),
            cython.address(later),
        )
        if healthy or clock_ms() < deadline_ms:
            line[0] = later
    return healthy


def attempt(options, began_ms, deadline_ms, line):
    """Let every check that is asked for find what it can before the deadline."""
    exchanges: Exchange[QUESTIONS_BOUND]
    judgement: Judgement
    findings: Findings
    findings.pid1 = cython.NULL
    findings.checks = exchanges
    findings.count = options.checks
    findings.agent = cython.NULL
    count: cython.size_t = options.checks
    i: cython.size_t
    for i in range(options.checks):
        exchange_begin(cython.address(exchanges[i]), cython.address(options.questions[i]), began_ms)
    if options.asks_agent:
        findings.agent = cython.address(exchanges[count])
        exchange_begin(findings.agent, cython.address(options.agent), began_ms)
        count += 1
    if options.pid1_names.length:
        process_judge(cython.address(judgement), options.pid1_names)
        findings.pid1 = cython.address(judgement)
    run(exchanges, count, deadline_ms)
    return report_findings(line, cython.address(findings), options)


def earlier(one_ms, other_ms):
    """Choose the earlier of two times."""
    return one_ms if one_ms < other_ms else other_ms


def run(exchanges, count, deadline_ms):
    """Drive the exchanges until all are done or the deadline has come."""
    while run_step(exchanges, count, deadline_ms):
        pass
    i: cython.size_t
    for i in range(count):
        exchange_time_out(cython.address(exchanges[i]))


def run_step(exchanges, count, deadline_ms):
    """Wait for the next thing to happen and pass it on; False when there is none to wait for."""
    entries: pollfd[QUESTIONS_BOUND]
    now_ms: cython.long = clock_ms()
    until_ms: cython.long = deadline_ms
    pending: cython.bint = False
    i: cython.size_t
    for i in range(count):
        entries[i].fd = -1
        entries[i].events = 0
        entries[i].revents = 0
        if exchanges[i].phase == DONE:
            continue
        pending = True
        entries[i].fd = exchanges[i].fd
        entries[i].events = exchange_events(cython.address(exchanges[i]))
        if 0 < exchanges[i].wake_ms < until_ms:
            until_ms = exchanges[i].wake_ms
    if not pending or now_ms >= deadline_ms:
        return False
    poll(entries, count, until_ms - now_ms if until_ms > now_ms else 0)
    now_ms = clock_ms()
    for i in range(count):
        if entries[i].revents:
            exchange_go_on(cython.address(exchanges[i]), now_ms)
        elif 0 < exchanges[i].wake_ms <= now_ms:
            exchange_wake(cython.address(exchanges[i]), now_ms)
    return True


def write_line(line):
    """Write the line; what becomes of it does not change the verdict."""
    if poll_stdout(STDOUT_PATIENCE_MS) & POLLOUT:
        write(STDOUT, line.bytes, line.length)


def stdout_is_open():
    """Tell whether the probe was started with a stdout."""
    return not poll_stdout(0) & POLLNVAL


def poll_stdout(timeout_ms):
    """Ask whether stdout takes a line."""
    entry: pollfd
    entry.fd = STDOUT
    entry.events = POLLOUT
    entry.revents = 0
    poll(cython.address(entry), 1, timeout_ms)
    return entry.revents


def block_sigpipe():
    """Let a write to a pipe that nobody reads fail, instead of ending the probe."""
    signals: sigset_t
    sigemptyset(cython.address(signals))
    sigaddset(cython.address(signals), SIGPIPE)
    sigprocmask(SIG_BLOCK, cython.address(signals), cython.NULL)


def clock_ms():
    """Read the clock that nobody sets back."""
    now: timespec
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, cython.address(now))
    return now.tv_sec * 1000 + now.tv_nsec // 1000000
