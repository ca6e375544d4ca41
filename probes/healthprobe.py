#!/usr/bin/env python3
"""healthprobe for an image that has a Python interpreter: the twin of the native probe.

It takes the same options, asks the same questions and prints the same line, byte for byte; the
contract suite holds both to it. Python 3.9 or newer and its standard library are enough. Strings
are bytes throughout, as in the native probe: what comes from the network need not be text.
"""

# Bytes have no format method, and what is not imported starts sooner.
# ruff: noqa: PTH123, SIM105, UP031

import _socket as socket  # the same functions; socket itself would double the time to start
import errno
import os
import select
import sys
import time

HELP = b"""\
usage: healthprobe [--live | --ready] [--http URL]... [--tcp HOST:PORT]...
                   [--expect STATUSES] [--body TEXT] [--header LINE]...
                   [--pid1 NAME[,NAME]] [--agent URL] [--timeout MS] [--wait]

Tells Docker whether the application in this container is healthy: exit status 0,
or 1 for everything else, and one line that says why.

  --live              ask for liveness: /livez
  --ready             ask for readiness: /readyz (default)
  --http URL          ask the application; without a path: /livez or /readyz
                      (default http://127.0.0.1:${PORT:-3000}, unless --tcp)
  --tcp HOST:PORT     connect
  --expect STATUSES   healthy ones, like 200-299,401 (default 200-399)
  --body TEXT         a healthy answer's first 4096 bytes of body must hold this
  --header LINE       add a line to the request, like "Host: example.com"
  --pid1 NAME[,NAME]  PID 1, or what "bun run" or an init runs, must have one of
                      these names and not be stopped
  --agent URL         also ask healthagent at URL/self/livez or URL/self/readyz;
                      503 fails the probe, anything else does not
  --timeout MS        the deadline for all of it, 1 to 3600000 (default 2000)
  --wait              try until all is well or the deadline has come
  -h, --help          print this

URL is http://HOST:PORT/PATH or unix:/PATH/TO.sock:/PATH. HOST is an IPv4 address,
an IPv6 address in brackets, or a name from /etc/hosts or the container's resolver.
Up to 8 of --http and --tcp are asked side by side, and all must be well. --expect,
--body and --header go for every --http. HEALTHPROBE_HTTP is the variable of --http,
and so on; a flag beats it; an empty one counts as not set.
"""

EXIT_HEALTHY = 0
EXIT_UNHEALTHY = 1  # Docker reserves 2
STDOUT = 1
STDOUT_PATIENCE_MS = 1000

LINE_BOUND = 4096  # all that Docker keeps
REASON_ROOM = 3800  # so that the facts behind the reason always fit
QUOTE_BOUND = 100
NAME_FACT_BOUND = 32
BLANKS = b" \t\r\n"
HEXADECIMAL = b"0123456789abcdefABCDEF"

DEFAULT_TIMEOUT_MS = 2000
LONGEST_TIMEOUT_MS = 3600000
ATTEMPT_MS = 2000  # with --wait: how long one attempt may hang
PAUSE_MS = 100  # and what lies between two
LARGEST_PORT = 65535
HTTP_PORT = 80
NAMES_BOUND = 256
CHECKS_BOUND = 8
HEADERS_BOUND = 2048
HEADER_EXTRA = 3  # a space, CR and LF, which the user need not write
BODY_TEXT_BOUND = 256
OPTIONS = (b"http", b"tcp", b"expect", b"body", b"header", b"pid1", b"agent", b"timeout")

URL_BOUND = 1024
HOST_BOUND = 253
LABEL_BOUND = 63
ADDRESS_BOUND = 45
SOCKET_PATH_BOUND = 107
NAME_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789-_"

HOSTS_BOUND = 16384
RESOLV_CONF_BOUND = 4096
ADDRESSES_BOUND = 8
NAMESERVERS_BOUND = 3
NAMESERVER_PATIENCE_MS = 500
NAMESERVER_ROUNDS = 2
DNS_PORT = 53
DNS_MESSAGE_BOUND = 512
DNS_HEADER_SIZE = 12
DNS_QUESTION_TAIL = 4
DNS_RECORD_TAIL = 10
DNS_POINTER = 0xC0
DNS_RESPONSE = 0x8000
DNS_RECURSION_DESIRED = 0x0100
DNS_CODE = 0x000F
DNS_NO_SUCH_NAME = 3
DNS_INTERNET = 1
DNS_IPV4 = 1
DNS_IPV6 = 28

RECEIVE_BOUND = 4096
HEAD_BOUND = 65536
HEADER_BOUND = 64
BODY_BOUND = 4096
LARGEST_LENGTH = 1 << 30
LARGEST_STATUS = 999
DEFAULT_EXPECT = b"200-399"
REASON_BOUND = 512

STAT_BOUND = 512
ARGUMENT_BOUND = 512
CHILDREN_BOUND = 1024  # how many are looked at; the oldest stand first
CHILDREN_BUFFER = 256
COMMAND_BOUND = 64
LAUNCHER_DEPTH = 5
FIELDS_TO_THREADS = 17  # proc(5): between the state, field 3, and num_threads, field 20
SHELLS = (b"sh", b"dash", b"bash", b"ash", b"busybox")
INITS = (b"docker-init", b"tini", b"dumb-init")

FAULTS = {  # errno: one word for the facts, and words for the reason
    errno.ECONNREFUSED: (b"refused", b"connection refused, nothing listens there"),
    errno.ECONNRESET: (b"reset", b"connection reset"),
    errno.EPIPE: (b"reset", b"connection reset"),
    errno.ENOENT: (b"missing", b"no such socket"),
    errno.EACCES: (b"denied", b"permission denied"),
    errno.EPERM: (b"denied", b"permission denied"),
    errno.EAGAIN: (b"busy", b"its queue of connections is full"),
    errno.ETIMEDOUT: (b"timeout", b"connection timed out"),
    errno.EHOSTUNREACH: (b"unreachable", b"no route to it"),
    errno.ENETUNREACH: (b"unreachable", b"no route to it"),
    errno.ENETDOWN: (b"unreachable", b"no route to it"),
    errno.EADDRNOTAVAIL: (b"unreachable", b"no route to it"),
}
OTHER_FAULT = (b"error", b"system error")


class UsageFault(Exception):
    """An option is wrong; the argument says what to change."""


# --- options ---------------------------------------------------------------------------------


class Options:
    """What the command line and the variables ask for."""

    def __init__(self, arguments, variables):
        self.mode = b""
        self.help = False
        self.wait = False
        self.given = set()  # the options that a flag has set
        self.checks: list[Question] = []
        self.agent = None
        self.expect = b""
        self.body = b""
        self.headers = b""
        self.names = []
        self.timeout_ms = DEFAULT_TIMEOUT_MS
        self.read_arguments(arguments)
        if self.help:
            return
        self.read_variables(variables)
        if not self.checks:
            self.add_default_check(variables)
        self.finish_questions()

    def read_arguments(self, arguments):
        """Take the flags in their order."""
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument in (b"--help", b"-h"):
                self.help = True
                return
            if argument in (b"--live", b"--ready"):
                if self.mode not in (b"", argument):
                    raise UsageFault(b"--live and --ready exclude each other")
                self.mode = argument
                continue
            if argument == b"--wait":
                self.wait = True
                continue
            flag, equals, value = argument.partition(b"=")
            if not flag.startswith(b"--") or flag[2:] not in OPTIONS:
                raise UsageFault(
                    b"unknown argument " + quote_value(argument) + b", see healthprobe --help"
                )
            if not equals:
                if not rest:
                    raise UsageFault(flag + b" needs a value, see healthprobe --help")
                value = rest.pop(0)
            self.given.add(flag[2:])
            self.take(flag[2:], flag, value)

    def read_variables(self, variables):
        """Ask the environment where no flag was given; an empty variable counts as not set."""
        for option in OPTIONS:
            key = b"HEALTHPROBE_" + option.upper()
            if option not in self.given and variables.get(key):
                self.take(option, key, variables[key])

    def take(self, option, key, value):
        """Take the value of one option, which was set by the flag or variable `key`."""
        if option in (b"http", b"tcp"):
            self.add_check(key, value, tcp=option == b"tcp")
        elif option == b"expect":
            self.expect = value
            if status_is_listed(value, 0) is None:
                raise refusal(key, value, b"must read like 200-299,401, from 100 to 999")
        elif option == b"body":
            self.body = value
            if not 1 <= len(value) <= BODY_TEXT_BOUND:
                raise refusal(key, value, b"must have 1 to 256 bytes")
        elif option == b"header":
            self.add_header(key, value)
        elif option == b"pid1":
            self.names = value.split(b",")
            if len(value) > NAMES_BOUND:
                raise refusal(key, value, b"has more than 256 bytes")
            if not all(self.names):
                raise refusal(key, value, b"must read NAME or NAME,NAME")
        elif option == b"agent":
            url = read_url(key, value)
            url.path = url.path.rstrip(b"/")
            self.agent = Question(url)
        else:
            self.timeout_ms = read_number(value, LONGEST_TIMEOUT_MS)
            if self.timeout_ms < 1:
                reason = b"is no whole number of milliseconds from 1 to 3600000"
                raise refusal(key, value, reason)

    def add_check(self, key, value, tcp=False):
        """Add one more question to those that are asked side by side."""
        if len(self.checks) == CHECKS_BOUND:
            reason = b"is one check too many: there may be 8 of --http and --tcp"
            raise refusal(key, value, reason)
        self.checks.append(Question(read_url(key, value, tcp), tcp))

    def add_default_check(self, variables):
        """Ask at the port that the application itself reads: PORT, or 3000."""
        port = variables.get(b"PORT") or b"3000"
        number = read_number(port, LARGEST_PORT)
        if number < 1:
            raise refusal(b"PORT", port, b"is no port from 1 to 65535")
        self.add_check(b"PORT", b"http://127.0.0.1:%d" % number)

    def add_header(self, key, line):
        """Add a line to the request; a fault tells its name alone: the value may be secret."""
        name, colon, value = line.partition(b":")
        value = value.strip(BLANKS)
        if not name or not colon or not is_plain(name):
            raise refusal(key, name, b"must begin a line NAME: VALUE")
        if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value):
            raise refusal(key, name, b"has a value with control bytes")
        if len(self.headers) + len(line) + HEADER_EXTRA > HEADERS_BOUND:
            raise refusal(key, name, b"is too long: all headers together have 2048 bytes")
        self.headers += name + b": " + value + b"\r\n"

    def finish_questions(self):
        """Give every question what was said for all of them, wherever it stood."""
        live = self.mode == b"--live"
        for question in self.checks:
            if question.tcp:
                continue
            if not question.url.path:
                question.url.suffix = b"/livez" if live else b"/readyz"
            question.headers = self.headers
            question.expect = self.expect
            question.body = self.body
        if self.agent is not None:
            self.agent.url.suffix = b"/self/livez" if live else b"/self/readyz"


class Question:
    """What is asked, and which answer is well."""

    def __init__(self, url, tcp=False):
        self.url = url
        self.tcp = tcp  # nothing is sent: the connection is the answer
        self.headers = b""
        self.expect = b""  # empty for DEFAULT_EXPECT
        self.body = b""  # what the body must hold; empty for anything

    def request(self):
        """Write the whole request: HTTP/1.1, since Bun's server refuses 1.0."""
        lines = [b"GET " + self.url.path + self.url.suffix + b" HTTP/1.1\r\n"]
        given = {line.partition(b":")[0].lower() for line in self.headers.split(b"\n")}
        for name, value in (
            (b"Host", self.url.authority),
            (b"User-Agent", b"healthprobe"),
            (b"Accept", b"*/*"),
            (b"Connection", b"close"),
        ):
            if name.lower() not in given:
                lines.append(name + b": " + value + b"\r\n")
        return b"".join(lines) + self.headers + b"\r\n"


def refusal(key, value, reason):
    """Name the key, the value and what the value should be."""
    return UsageFault(key + b" " + quote_value(value) + b" " + reason)


def quote_value(value):
    """Repeat a wrong value, but nothing of one with an @: a password may stand before it."""
    return quote(b"***" if b"@" in value else value)


def quote(value):
    """Repeat what a user wrote, in quotes, and no more of it than QUOTE_BOUND bytes."""
    return b"'" + value[:QUOTE_BOUND] + (b"..." if len(value) > QUOTE_BOUND else b"") + b"'"


def read_number(digits, largest):
    """Read a whole decimal number from 0 to `largest`; -1 for everything else."""
    if not digits.isdigit() or len(digits) >= 20:
        return -1
    number = int(digits)
    return number if number <= largest else -1


def status_is_listed(listed, status):
    """Look a status up in a list like 200-299,401; None when the list cannot be read."""
    found = False
    for item in listed.split(b","):
        first, dash, last = item.partition(b"-")
        first = read_number(first, LARGEST_STATUS)
        last = read_number(last, LARGEST_STATUS) if dash else first
        if first < 100 or last < first:
            return None
        found = found or first <= status <= last
    return found


def is_plain(text):
    """Tell whether all bytes are printable ASCII and none is a blank."""
    return all(0x21 <= byte <= 0x7E for byte in text)


# --- URLs ------------------------------------------------------------------------------------


class Url:
    """Where a question goes."""

    def __init__(self, origin, authority, path, port):
        self.origin = origin  # all before the path, for messages
        self.authority = authority  # HOST:PORT as given, for the Host header
        self.path = path
        self.suffix = b""  # what the probe appends to the path
        self.socket_path = b""
        self.name = b""  # a host that must be resolved
        self.addresses = []  # (family, numeric address)
        self.port = port

    def __bytes__(self):
        return self.origin + self.path + self.suffix


def read_url(key, text, tcp=False):
    """Read one URL, or HOST:PORT, or name its key and value in a fault."""
    try:
        return split_url(text, tcp)
    except UsageFault as fault:
        raise refusal(key, text, fault.args[0]) from None


def split_url(text, tcp):
    """Read one URL into its parts, or HOST:PORT for a TCP question."""
    if len(text) > URL_BOUND:
        raise UsageFault(b"has more than 1024 bytes")
    if not is_plain(text):
        raise UsageFault(b"holds a space, a control byte or a byte beyond ASCII")
    if tcp:
        return read_authority(Url(text, text, b"", 0))
    if text.startswith(b"http://"):
        authority, slash, path = text[len(b"http://") :].partition(b"/")
        origin = b"http://" + authority
        return read_authority(Url(origin, authority, slash + path, HTTP_PORT))
    if text.startswith(b"unix:/"):
        return split_socket(text)
    if text.startswith(b"https://"):
        raise UsageFault(b"asks for TLS, which the probe does not speak; use http://")
    raise UsageFault(b"must read http://HOST:PORT/PATH or unix:/PATH/TO.sock:/PATH")


def split_socket(text):
    """Read unix:/PATH/TO.sock[:/PATH]; the first ":/" behind the scheme ends the socket's path."""
    socket_path, colon, path = text[len(b"unix:") :].partition(b":/")
    path = b"/" + path if colon else b""
    if len(socket_path) > SOCKET_PATH_BOUND:
        raise UsageFault(b"names a socket by more than 107 bytes")
    url = Url(b"unix:" + socket_path + b":", b"localhost", path, 0)
    url.socket_path = socket_path
    return url


def read_authority(url):
    """Read HOST[:PORT], where HOST is an IPv4 address, an IPv6 address in brackets, or a name."""
    authority = url.authority
    if b"@" in authority:
        raise UsageFault(b"must hold no user or password")
    if authority.startswith(b"["):
        host, bracket, port = authority[1:].partition(b"]")
        if not bracket or not is_address(socket.AF_INET6, host):
            raise UsageFault(b"holds no IPv6 address between [ and ]")
        url.addresses = [(socket.AF_INET6, host)]
    else:
        host, colon, port = authority.partition(b":")
        port = colon + port
        if is_address(socket.AF_INET, host):
            url.addresses = [(socket.AF_INET, host)]
        elif host.strip(b".0123456789") and is_name(host):
            url.name = host
        else:
            raise UsageFault(b"names no valid host")
    if port:
        url.port = read_number(port[1:], LARGEST_PORT) if port.startswith(b":") else -1
    if url.port < 1:
        raise UsageFault(b"has no port from 1 to 65535")
    return url


def is_address(family, host):
    """Tell whether the host is a numeric address of this family."""
    if len(host) > ADDRESS_BOUND:
        return False
    try:
        socket.inet_pton(family, host.decode("ascii", "replace"))
    except (OSError, ValueError):
        return False
    return True


def is_name(host):
    """Tell whether labels of letters, digits, - and _ stand between single dots."""
    return len(host) <= HOST_BOUND and all(
        0 < len(label) <= LABEL_BOUND and not label.lower().strip(NAME_BYTES)
        for label in host.split(b".")
    )


# --- names -----------------------------------------------------------------------------------


def read_file(path, bound):
    """Read the beginning of a file; nothing when it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            content = b""
            while len(content) < bound:
                part = file.read(bound - len(content))
                if not part:
                    break
                content += part
            return content
    except OSError:
        return b""


def add_address(found, written):
    """Append an address as people write it; what is no address is passed over.

    A NUL ends it, as it does for the native probe's inet_pton(3).
    """
    written = written.partition(b"\0")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        if len(found) < ADDRESSES_BOUND and is_address(family, written):
            found.append((family, written))


def words_of(line):
    """Split a line at the same blanks as the native probe."""
    return line.translate(bytes.maketrans(BLANKS, b"    ")).split(b" ")


def find_in_hosts(name):
    """Look a name up in /etc/hosts; localhost has its addresses even where that file is missing."""
    found: list[tuple[int, bytes]] = []
    for line in read_file("/etc/hosts", HOSTS_BOUND).split(b"\n"):
        address, *names = [word for word in words_of(line.split(b"#")[0]) if word] or [b""]
        if name.lower() in (other.lower() for other in names):
            add_address(found, address)
    if not found and name.lower() == b"localhost":
        found = [(socket.AF_INET, b"127.0.0.1"), (socket.AF_INET6, b"::1")]
    return found


def read_nameservers():
    """Read the name servers from /etc/resolv.conf; with none, this machine is asked."""
    found: list[tuple[int, bytes]] = []
    for line in read_file("/etc/resolv.conf", RESOLV_CONF_BOUND).split(b"\n"):
        words = [word for word in words_of(line) if word]
        if len(words) > 1 and words[0] == b"nameserver" and len(found) < NAMESERVERS_BOUND:
            add_address(found, words[1])
    return found or [(socket.AF_INET, b"127.0.0.1")]


def dns_question(name, kind, identity):
    """Write the question for one name. Source: RFC 1035, section 4."""
    header = (identity, DNS_RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b"."))
    numbers = [number.to_bytes(2, "big") for number in (*header, kind, DNS_INTERNET)]
    return b"".join(numbers[:6]) + labels + b"\0" + b"".join(numbers[6:])


def dns_answer(message, kind, identity):
    """Read an answer: addresses, none, "failed", or "foreign" for one to another question."""

    def number(at):
        return int.from_bytes(message[at : at + 2], "big") if at + 2 <= len(message) else 0

    def skip_name(at):
        while at < len(message) and message[at] != 0:
            if message[at] >= DNS_POINTER:
                return at + 2
            at += message[at] + 1
        return at + 1

    if len(message) < DNS_HEADER_SIZE or number(0) != identity or not number(2) & DNS_RESPONSE:
        return "foreign"
    code = number(2) & DNS_CODE
    if code == DNS_NO_SUCH_NAME:
        return []
    if code:
        return "failed"
    at = DNS_HEADER_SIZE
    for _ in range(number(4)):
        if at < len(message):
            at = skip_name(at) + DNS_QUESTION_TAIL
    family, size = (socket.AF_INET, 4) if kind == DNS_IPV4 else (socket.AF_INET6, 16)
    found: list[tuple[int, bytes]] = []
    for _ in range(number(6)):
        at = skip_name(at)
        data = at + DNS_RECORD_TAIL
        end = data + number(at + 8)
        if data > len(message) or end > len(message):
            break
        wanted = number(at) == kind and number(at + 2) == DNS_INTERNET and end - data == size
        if wanted and len(found) < ADDRESSES_BOUND:
            found.append((family, socket.inet_ntop(family, message[data:end]).encode()))
        at = end
    return found


# --- the answer ------------------------------------------------------------------------------


class Response:
    """Reads an HTTP/1.x answer byte by byte. Source: RFC 9112."""

    def __init__(self, question):
        self.expect = question.expect or DEFAULT_EXPECT
        self.wanted = question.body
        self.expected = False
        self.found = False
        self.phase = "status line"
        self.status = 0
        self.head_length = 0
        self.line = b""
        self.chunked = False
        self.left = -1  # of the body, or of its current chunk; -1 while unknown
        self.body = b""

    def read(self, data):
        """Read the next bytes; what follows the end is ignored."""
        for byte in data:
            if self.is_final():
                return
            self.read_byte(byte)

    def is_final(self):
        """Tell whether further bytes would change nothing."""
        return self.phase in ("complete", "not http", "oversized")

    def has_status(self):
        """Tell whether the whole head has come: an answer, even where its body breaks off."""
        return self.phase in ("chunk size", "body", "complete")

    def read_byte(self, byte):
        """Read one byte of whatever part the answer has come to."""
        if self.phase == "body":
            self.read_body_byte(byte)
            return
        self.head_length += 1
        if self.head_length > HEAD_BOUND:
            self.phase = "complete" if self.phase == "chunk size" else "oversized"
        elif byte != 0x0A:
            if len(self.line) < HEADER_BOUND:
                self.line += bytes([byte])
            prefix = b"HTTP/1."[: len(self.line)]
            if self.phase == "status line" and not self.line.startswith(prefix):
                self.phase = "not http"
        else:
            line, self.line = self.line.strip(BLANKS), b""
            if self.phase == "status line":
                self.end_status_line(line)
            elif self.phase == "headers":
                self.end_header(line)
            else:
                self.end_chunk_size(line)

    def end_status_line(self, line):
        """Take the status from the whole first line."""
        status = read_number(line[9:12], LARGEST_STATUS) if line[8:9] == b" " else -1
        if status < 100 or line[12:13] not in (b"", b" "):
            self.phase = "not http"
        else:
            self.status = status
            self.phase = "headers"

    def end_header(self, line):
        """Take what tells where the body ends; an empty line ends the head."""
        name, _, value = line.partition(b":")
        if not line:
            self.end_head()
        elif name.lower() == b"content-length":
            self.left = read_number(value.strip(BLANKS), LARGEST_LENGTH)
        elif name.lower() == b"transfer-encoding":
            self.chunked = value.strip(BLANKS).lower() == b"chunked"

    def end_head(self):
        """Go on to the body, or to the next head after an interim answer, or be done."""
        if self.status < 200 and self.status != 101:
            self.status, self.phase, self.chunked, self.left = 0, "status line", False, -1
            return
        self.expected = bool(status_is_listed(self.expect, self.status))
        if (self.expected and not self.wanted) or self.has_no_body():
            self.phase = "complete"
        elif self.chunked:
            self.phase = "chunk size"
        else:
            self.phase = "complete" if self.left == 0 else "body"

    def has_no_body(self):
        """Tell whether the answer ends with its head, whatever that says. Source: section 6.3."""
        return self.status < 200 or self.status in (204, 304)

    def end_chunk_size(self, line):
        """Take the size of the next chunk; the last one has none, and an empty line ends each."""
        digits = line.partition(b";")[0].strip(BLANKS)
        if digits:
            self.left = 0 if digits.strip(HEXADECIMAL) else int(digits, 16)
            self.phase = "body" if 0 < self.left <= LARGEST_LENGTH else "complete"

    def read_body_byte(self, byte):
        """Keep the body's beginning until it ends, holds what is wanted, or enough is there."""
        self.body += bytes([byte])
        if self.expected and self.body.endswith(self.wanted):
            self.found = True
            self.phase = "complete"
        elif len(self.body) == BODY_BOUND:
            self.phase = "complete"
        elif self.left > 0:
            self.left -= 1
            if self.left == 0:
                self.phase = "chunk size" if self.chunked else "complete"

    def reason(self):
        """Find the line that says why: the first failed check, or else the first line."""
        lines = [line.strip(BLANKS) for line in self.body.split(b"\n")]
        failed = [line for line in lines if line.startswith(b"[-]")]
        return ((failed or [line for line in lines if line]) + [b""])[0][:REASON_BOUND]


# --- one question ----------------------------------------------------------------------------


class Exchange:
    """One question to one URL, driven by `run` and never blocking."""

    def __init__(self, question, now_ms):
        self.question = question
        self.url = url = question.url
        self.phase = "connecting"
        self.outcome = ""
        self.fault = 0
        self.socket = None
        self.wake_ms = 0
        self.response = Response(question)
        self.unsent = question.request()
        self.addresses = list(url.addresses) or find_in_hosts(url.name)
        if url.name and not self.addresses:
            self.phase = "resolving"
            self.kind = DNS_IPV4
            self.questions = read_nameservers() * NAMESERVER_ROUNDS
            self.ask_nameserver(now_ms)
        else:
            self.try_address()

    def events(self):
        """Tell what to poll the socket for."""
        return select.POLLOUT if self.phase in ("connecting", "sending") else select.POLLIN

    def go_on(self, now_ms):
        """Do the next step, now that the socket is ready for it."""
        if self.phase == "resolving":
            self.hear_nameserver(now_ms)
        elif self.phase == "connecting":
            self.finish_connecting()
        elif self.phase == "sending":
            self.send_request()
        elif self.phase == "receiving":
            self.receive()

    def wake(self, now_ms):
        """Stop waiting for a name server that does not answer, and ask the next one."""
        if self.phase == "resolving":
            self.ask_nameserver(now_ms)

    def time_out(self):
        """End at the deadline; a status that has already come counts."""
        if not self.outcome:
            self.outcome = "answered" if self.response.has_status() else "timed out"
            self.close()

    def end(self, outcome, fault=0):
        """End with this outcome."""
        self.phase = "done"
        self.outcome = outcome
        self.fault = fault
        self.close()

    def close(self):
        """Give the socket back."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def connect(self, family, kind, address):
        """Begin to connect; returns 0, or an error number and no socket."""
        self.close()
        try:
            self.socket = socket.socket(family, kind)
        except OSError as error:
            return error.errno
        self.socket.setblocking(False)
        fault = self.socket.connect_ex(address)
        if fault in (0, errno.EINPROGRESS):
            return 0
        self.close()
        return fault

    def ask_nameserver(self, now_ms):
        """Send the question to the next name server that takes it."""
        while self.questions:
            self.server = self.questions.pop(0)
            family, address = self.server
            if self.connect(family, socket.SOCK_DGRAM, (address.decode(), DNS_PORT)):
                continue
            self.identity = int.from_bytes(os.urandom(2), "big")
            try:
                self.socket.send(dns_question(self.url.name, self.kind, self.identity))
            except OSError:
                continue
            self.wake_ms = now_ms + NAMESERVER_PATIENCE_MS
            return
        self.wake_ms = 0
        self.end("no name server")

    def hear_nameserver(self, now_ms):
        """Read what a name server says: addresses, nothing, or that it cannot tell."""
        try:
            answer = dns_answer(self.socket.recv(DNS_MESSAGE_BOUND), self.kind, self.identity)
        except BlockingIOError:
            return
        except OSError:
            answer = "failed"
        if answer == "foreign":
            return
        if answer == "failed":
            self.ask_nameserver(now_ms)
            return
        self.wake_ms = 0
        if answer:
            self.addresses = answer
            self.try_address()
        elif self.kind == DNS_IPV4:
            self.kind = DNS_IPV6
            self.questions.insert(0, self.server)
            self.ask_nameserver(now_ms)
        else:
            self.end("no such name")

    def try_address(self):
        """Begin to connect to the address in use."""
        if self.url.socket_path:
            fault = self.connect(socket.AF_UNIX, socket.SOCK_STREAM, self.url.socket_path)
        else:
            family, address = self.addresses.pop(0)
            fault = self.connect(family, socket.SOCK_STREAM, (address.decode(), self.url.port))
        if fault:
            self.try_next_address(fault)
        else:
            self.phase = "connecting"

    def try_next_address(self, fault):
        """Go on to the name's next address; when there is none, what the first one said counts."""
        self.fault = self.fault or fault
        if self.addresses:
            self.try_address()
        else:
            self.end("no connection", self.fault)

    def finish_connecting(self):
        """See how the connection came out."""
        fault = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if fault:
            self.try_next_address(fault)
        elif self.question.tcp:
            if self.is_to_itself():
                self.try_next_address(errno.ECONNREFUSED)
            else:
                self.end("connected")
        else:
            self.phase = "sending"
            self.send_request()

    def is_to_itself(self):
        """Tell whether the kernel gave the connection the very port that it goes to.

        A port from which connections go out may be asked for before anybody listens there: TCP then
        takes the two ends of one socket for peers. Source: RFC 9293, section 3.5.
        """
        try:
            return self.socket.getsockname() == self.socket.getpeername()
        except OSError:
            return False

    def send_request(self):
        """Send as much of the request as the kernel takes."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            # A server may answer and close without reading: what it said is worth more.
            self.phase = "receiving"
        if not self.unsent:
            self.phase = "receiving"

    def receive(self):
        """Read the next part of the answer."""
        data, fault = b"", 0
        try:
            data = self.socket.recv(RECEIVE_BOUND)
        except BlockingIOError:
            return
        except OSError as error:
            fault = error.errno or 0
        self.response.read(data)
        if data and not self.response.is_final():
            return
        if self.response.phase in ("not http", "oversized"):
            self.end(self.response.phase)
        elif self.response.has_status():
            self.end("answered")
        elif fault:
            self.end("broken", fault)
        else:
            self.end("closed")


# --- PID 1 -----------------------------------------------------------------------------------


def read_children(pid):
    """Read the children of a process with one thread, the oldest first, as far as asked for."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), "rb", buffering=0) as file:
            word = b""
            while part := file.read(CHILDREN_BUFFER):
                *words, word = (word + part).split(b" ")
                yield from map(int, filter(None, words))
    except OSError:
        return


class Process:
    """What /proc shows of one process. Source: proc(5)."""

    def __init__(self, pid, names):
        self.pid = pid
        self.state = b""
        self.threads = 0
        stat = read_file("/proc/%d/stat" % pid, STAT_BOUND)
        before, _, rest = stat.rpartition(b")")
        self.command = before.partition(b"(")[2][:COMMAND_BOUND]
        fields = [word for word in words_of(rest) if word]
        if before and fields:
            self.state = fields[0][:1]
            self.threads = read_number((fields + [b""] * 18)[FIELDS_TO_THREADS], 1 << 22)
        words = read_file("/proc/%d/cmdline" % pid, ARGUMENT_BOUND)
        argument, _, second = words.partition(b"\0")
        self.program = argument.rpartition(b"/")[2][:COMMAND_BOUND]
        self.listed = bool(self.listed_name(names))
        # process.title overwrites name and arguments: what is left reads as a program without any.
        alone = second[:1] in (b"", b"\0") and argument.startswith(self.command)
        self.renamed = alone and not self.listed

    def listed_name(self, names):
        """Find the listed name that the process has, as the kernel's or as its program's."""
        return next((name for name in names if name in (self.command, self.program)), b"")

    def word(self, names):
        """Name the process in one word."""
        name = (self.listed_name(names) or self.command)[:NAME_FACT_BOUND]
        return name.translate(bytes.maketrans(BLANKS, b"____"))

    def is_launcher(self):
        """Tell whether the process only waits for what it has started."""
        return self.threads == 1 and not self.renamed and any(read_children(self.pid))

    def is_over(self):
        """Tell whether the process has ended."""
        return self.state in (b"Z", b"X")

    def find_child(self, names):
        """Find the child that has one of the names, or else one that may be it or lead to it."""
        other = None
        for looked_at, pid in enumerate(read_children(self.pid)):
            if looked_at == CHILDREN_BOUND:
                break
            child = Process(pid, names)
            if not child.state or child.is_over():
                continue
            if child.listed:
                return child
            if other is None and (child.renamed or child.listed_name(SHELLS)):
                other = child
        return other


class Judgement:
    """What became of PID 1, or of the application below it where "bun run" stays PID 1."""

    def __init__(self, names):
        self.names = names
        self.first = self.application = Process(1, names)
        self.verdict = self.judge()

    def judge(self):
        """Judge PID 1, and where it is a launcher what it runs."""
        if not self.first.state:
            return "unseen"
        if not (self.first.listed or self.first.renamed or self.first.listed_name(INITS)):
            return "foreign"
        depth = 0
        while depth < LAUNCHER_DEPTH and self.application.is_launcher():
            child = self.application.find_child(self.names)
            if child is None:
                return "childless"
            self.application = child
            depth += 1
        if not (self.application.listed or self.application.renamed):
            return "childless"
        if self.application.state in (b"T", b"t") or self.application.is_over():
            return "halted"
        return "ok" if self.application.listed else "unseen"

    def failed(self):
        """Tell whether PID 1 is wrong; one that cannot be seen or told is unknown, not failed."""
        return self.verdict not in ("ok", "unseen")

    def explain(self):
        """Say what is wrong."""
        first, alternatives = self.first.word(self.names), b" or ".join(self.names)
        if self.verdict == "foreign":
            return b"PID 1 is " + first + b", not " + alternatives
        if self.verdict == "childless":
            return b"PID 1 (" + first + b") has no " + alternatives + b" below it"
        if self.application.pid == 1:
            subject = b"PID 1 (" + first + b")"
        else:
            name = self.application.word(self.names)
            subject = name + b" (PID %d, below PID 1)" % self.application.pid
        if self.application.state == b"T":
            return subject + b" is stopped: it does nothing until it gets SIGCONT"
        if self.application.state == b"t":
            return subject + b" is halted by a debugger"
        return subject + b" has ended and waits to be reaped"

    def fact(self):
        """Write the name of PID 1, and behind ">" that of the application below it."""
        if self.verdict == "unseen":
            return b"unknown"
        fact = self.first.word(self.names)
        if self.application.pid != 1 and self.verdict != "childless":
            fact += b">" + self.application.word(self.names)
        return fact


# --- the line --------------------------------------------------------------------------------


def agent_failed(agent):
    """Tell whether the agent said no; one that says nothing, or anything else, does not count."""
    return agent is not None and agent.outcome == "answered" and agent.response.status == 503


def check_failed(exchange):
    """Tell whether the one that was asked did not say that it is well."""
    if exchange.question.tcp:
        return exchange.outcome != "connected"
    if exchange.outcome != "answered" or not exchange.response.expected:
        return True
    return bool(exchange.question.body) and not exchange.response.found


def explain_answer(exchange):
    """Say what is wrong with an answer: its status, or else its body."""
    question, response = exchange.question, exchange.response
    said = bytes(question.url) + b" answered %d" % response.status
    if response.expected:
        said += b" without " + quote(question.body)
    elif question.expect:
        said += b", expected " + question.expect
    reason = response.reason()
    return said + b": " + reason if reason else said


def explain_exchange(exchange, timeout_ms):
    """Say what came of a question."""
    url, outcome = bytes(exchange.url), exchange.outcome
    if outcome == "no such name":
        return b"cannot resolve " + exchange.url.name + b": no such name"
    if outcome == "no name server":
        return b"cannot resolve " + exchange.url.name + b": no name server answers"
    if outcome == "no connection":
        return b"cannot connect to " + url + b": " + FAULTS.get(exchange.fault, OTHER_FAULT)[1]
    if outcome == "answered":
        return explain_answer(exchange)
    if outcome == "broken":
        return url + b" broke the connection: " + FAULTS.get(exchange.fault, OTHER_FAULT)[1]
    if outcome == "closed":
        return url + b" closed the connection before its answer was complete"
    if outcome == "not http":
        return url + b" does not answer in HTTP/1"
    if outcome == "oversized":
        return url + b" answered with more than 65536 bytes of headers"
    if exchange.phase == "resolving":
        said = b"cannot resolve " + exchange.url.name + b": no name server answers"
    elif exchange.phase == "connecting":
        said = b"cannot connect to " + url + b": no answer"
    elif exchange.response.head_length == 0:
        said = url + b" took the connection and then said nothing"
    else:
        said = url + b" did not finish its answer"
    return said + b" within %d ms" % timeout_ms


def outcome_fact(exchange):
    """Write a status, or one word for why there is none."""
    if exchange.outcome == "answered":
        return b"%d" % exchange.response.status
    if exchange.outcome in ("no connection", "broken"):
        return FAULTS.get(exchange.fault, OTHER_FAULT)[0]
    words = {
        "connected": b"ok",
        "no such name": b"unresolved",
        "no name server": b"unresolved",
        "closed": b"closed",
        "not http": b"garbage",
        "oversized": b"oversized",
        "timed out": b"timeout",
    }
    return words[exchange.outcome]


def agent_fact(agent):
    """Write the agent's word, or that there is none."""
    if agent is None:
        return b"-"
    if agent.outcome != "answered":
        return b"unreachable:" + outcome_fact(agent)
    if 200 <= agent.response.status <= 299:
        return b"ok"
    return b"failed" if agent_failed(agent) else b"unknown:" + outcome_fact(agent)


def checks_fact(checks, tcp):
    """Write what came of the checks of one kind; of TCP nothing where there is none."""
    words = [outcome_fact(check) for check in checks if check.question.tcp == tcp]
    if not words:
        return b"" if tcp else b" http=-"
    return (b" tcp=" if tcp else b" http=") + b",".join(words)


def report_findings(options, pid1, checks, agent):
    """Fold the findings into the verdict and the line, up to the time it took."""
    failed, reason = b"", b""
    wrong = [check for check in checks if check_failed(check)]
    if pid1 is not None and pid1.failed():
        failed, reason = b"pid1", pid1.explain()
    elif wrong:
        failed = b"tcp" if wrong[0].question.tcp else b"http"
        reason = explain_exchange(wrong[0], options.timeout_ms)
    elif agent_failed(agent):
        failed, reason = b"agent", explain_exchange(agent, options.timeout_ms)
    verdict = b"failed " + failed + b": " + reason[:REASON_ROOM] + b";" if failed else b"ok"
    facts = b" pid1=" + (pid1.fact() if pid1 is not None else b"-")
    facts += checks_fact(checks, tcp=False) + checks_fact(checks, tcp=True)
    facts += b" agent=" + agent_fact(agent)
    return not failed, blank_controls(verdict + facts)


def blank_controls(line):
    """Put spaces where control bytes stand, those that UTF-8 writes in two bytes included."""
    line = bytearray(line)
    for at, byte in enumerate(line):
        if byte < 0x20 or byte == 0x7F:
            line[at] = 0x20
        elif byte == 0xC2 and at + 1 < len(line) and 0x80 <= line[at + 1] <= 0x9F:
            line[at : at + 2] = b"  "
    return bytes(line)


# --- the probe -------------------------------------------------------------------------------


def clock_ms():
    """Read the clock that nobody sets back."""
    return time.monotonic_ns() // 1000000


def run(exchanges, deadline_ms):
    """Drive the exchanges until all are done or the deadline has come."""
    while True:
        pending = [exchange for exchange in exchanges if exchange.phase != "done"]
        now_ms = clock_ms()
        if not pending or now_ms >= deadline_ms:
            break
        poll = select.poll()
        for exchange in pending:
            poll.register(exchange.socket.fileno(), exchange.events())
        until_ms = min([deadline_ms] + [e.wake_ms for e in pending if e.wake_ms])
        ready = dict(poll.poll(max(0, until_ms - now_ms)))
        now_ms = clock_ms()
        for exchange in pending:
            if ready.get(exchange.socket.fileno()):
                exchange.go_on(now_ms)
            elif 0 < exchange.wake_ms <= now_ms:
                exchange.wake(now_ms)
    for exchange in exchanges:
        exchange.time_out()


def probe(options, began_ms):
    """Try once, or with --wait until all is well or the deadline has come.

    An attempt that the deadline cuts short says less than the one before it, which then counts.
    """
    deadline_ms = began_ms + options.timeout_ms
    if not options.wait:
        return attempt(options, began_ms, deadline_ms)
    healthy, line = attempt(options, began_ms, min(began_ms + ATTEMPT_MS, deadline_ms))
    while not healthy:
        now_ms = clock_ms()
        select.poll().poll(max(0, min(PAUSE_MS, deadline_ms - now_ms)))
        now_ms = clock_ms()
        if now_ms >= deadline_ms:
            break
        healthy, later = attempt(options, now_ms, min(now_ms + ATTEMPT_MS, deadline_ms))
        if healthy or clock_ms() < deadline_ms:
            line = later
    return healthy, line


def attempt(options, began_ms, deadline_ms):
    """Let every check that is asked for find what it can before the deadline."""
    checks = [Exchange(question, began_ms) for question in options.checks]
    agent = Exchange(options.agent, began_ms) if options.agent else None
    pid1 = Judgement(options.names) if options.names else None
    run(checks + ([agent] if agent else []), deadline_ms)
    return report_findings(options, pid1, checks, agent)


def poll_stdout(timeout_ms):
    """Ask whether stdout takes a line."""
    poll = select.poll()
    poll.register(STDOUT, select.POLLOUT)
    return dict(poll.poll(timeout_ms)).get(STDOUT, 0)


def main():
    """Probe once."""
    began_ms = clock_ms()
    # Asked before any socket is opened: one of them could get the number of a closed stdout.
    heard = not poll_stdout(0) & select.POLLNVAL
    healthy = False
    try:
        options = Options([os.fsencode(argument) for argument in sys.argv[1:]], os.environb)
    except UsageFault as fault:
        line = b"failed options: " + fault.args[0][:REASON_ROOM] + b"; pid1=- http=- agent=-"
        line = blank_controls(line) + b" ms=0\n"
    else:
        if options.help:
            healthy, line = True, HELP
        else:
            healthy, line = probe(options, began_ms)
            line += b" ms=%d\n" % (clock_ms() - began_ms)
    if heard and poll_stdout(STDOUT_PATIENCE_MS) & select.POLLOUT:
        try:
            os.write(STDOUT, line[:LINE_BOUND])
        except OSError:
            pass  # What becomes of the line does not change the verdict.
    return EXIT_HEALTHY if healthy else EXIT_UNHEALTHY


if __name__ == "__main__":
    # Not sys.exit: it would flush a stdout that may be gone, and change the status for that.
    os._exit(main())
