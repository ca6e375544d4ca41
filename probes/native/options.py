"""Reading the command line and the variables behind it. A flag beats its variable."""

import cython
from cython.cimports.response import status_is_listed
from cython.cimports.system import environ
from cython.cimports.text import (
    Slice,
    Text,
    slice_equals,
    slice_find,
    slice_from,
    slice_has_controls,
    slice_is,
    slice_is_plain,
    slice_number,
    slice_of,
    slice_starts,
    slice_trim,
    slice_until,
    slice_word,
    string_starts,
    text_add,
    text_byte,
    text_number,
    text_quote,
    text_slice,
    text_view,
    upper,
)
from cython.cimports.url import LARGEST_PORT, url_read


def options_read(options, argc, argv, fault):
    """Read all options: the flags as they stand, then the variables of those not given."""
    options.timeout_ms = DEFAULT_TIMEOUT_MS
    if not read_arguments(options, argc, argv, fault):
        return False
    if options.help:
        return True
    if not read_variables(options, fault):
        return False
    if options.checks == 0 and not add_default_check(options, fault):
        return False
    finish_questions(options)
    return True


def read_arguments(options, argc, argv, fault):
    """Take the flags in their order."""
    setting: Setting
    setting.origin = FLAG
    at: cython.int = 1
    while at < argc:
        argument: Slice = slice_of(argv[at])
        at += 1
        if slice_is(argument, b"--help") or slice_is(argument, b"-h"):
            options.help = True
            return True
        mode: Mode = mode_of(argument)
        if mode != MODE_UNSET:
            if options.mode != MODE_UNSET and options.mode != mode:
                text_add(fault, b"--live and --ready exclude each other")
                return False
            options.mode = mode
            continue
        if slice_is(argument, b"--wait"):
            options.wait = True
            continue
        flag: Slice = slice_until(argument, slice_find(argument, b"="))
        option: Option = find_option(flag, cython.address(setting.name))
        if option == OPTIONS_COUNT:
            text_add(fault, b"unknown argument ")
            quote_value(fault, argument)
            text_add(fault, b", see healthprobe --help")
            return False
        if flag.length < argument.length:
            setting.value = slice_from(argument, flag.length + 1)
        elif at < argc:
            setting.value = slice_of(argv[at])
            at += 1
        else:
            text_slice(fault, argument)
            text_add(fault, b" needs a value, see healthprobe --help")
            return False
        options.given |= 1 << option
        if not take(options, option, cython.address(setting), fault):
            return False
    return True


def mode_of(argument):
    """Find the mode of a flag; MODE_UNSET when it is another one's."""
    if slice_is(argument, b"--live"):
        return MODE_LIVE
    if slice_is(argument, b"--ready"):
        return MODE_READY
    return MODE_UNSET


def option_names():
    """List the options with a value, in the order of the enumeration."""
    return slice_of(b"http tcp expect body header pid1 agent timeout")


def find_option(flag, name):
    """Find the option of a flag, and its name; OPTIONS_COUNT when there is none."""
    rest: Slice = option_names()
    option: cython.int = 0
    if slice_starts(flag, b"--"):
        while option < OPTIONS_COUNT:
            name[0] = slice_word(cython.address(rest))
            if slice_equals(name[0], slice_from(flag, 2)):
                return cython.cast(Option, option)
            option += 1
    return OPTIONS_COUNT


def read_variables(options, fault):
    """Ask the environment where no flag was given; an empty variable counts as not set."""
    key: Text
    setting: Setting
    setting.origin = VARIABLE
    rest: Slice = option_names()
    option: cython.int
    for option in range(OPTIONS_COUNT):
        setting.name = slice_word(cython.address(rest))
        if options.given & (1 << option):
            continue
        key.length = 0
        write_key(cython.address(key), cython.address(setting))
        setting.value = variable(text_view(cython.address(key)))
        if setting.value.length:
            if not take(options, cython.cast(Option, option), cython.address(setting), fault):
                return False
    return True


def variable(name):
    """Find a variable's value; nothing when it is not set."""
    i: cython.size_t = 0
    while environ[i] != cython.NULL:
        if string_starts(environ[i], name) and environ[i][name.length] == b"=":
            return slice_of(environ[i] + name.length + 1)
        i += 1
    return slice_of(b"")


def take(options, option, setting, fault):
    """Take the value of one option."""
    if option == HTTP or option == TCP:
        return add_check(options, setting, option == TCP, fault)
    if option == EXPECT:
        return read_expect(options, setting, fault)
    if option == BODY:
        return read_body(options, setting, fault)
    if option == HEADER:
        return add_header(options, setting, fault)
    if option == PID1:
        return read_pid1(options, setting, fault)
    if option == AGENT:
        return read_agent(options, setting, fault)
    return read_timeout(options, setting, fault)


def add_check(options, setting, tcp, fault):
    """Add one more question to those that are asked side by side."""
    if options.checks == CHECKS_BOUND:
        return refuse(setting, b"is one check too many: there may be 8 of --http and --tcp", fault)
    options.questions[options.checks].tcp = tcp
    if not read_url(cython.address(options.questions[options.checks]), setting, fault):
        return False
    options.checks += 1
    return True


def add_default_check(options, fault):
    """Ask at the port that the application itself reads: PORT, or 3000."""
    setting: Setting
    setting.name = slice_of(b"PORT")
    setting.origin = OTHER
    setting.value = variable(setting.name)
    if setting.value.length == 0:
        setting.value = slice_of(b"3000")
    port: cython.long = slice_number(setting.value, LARGEST_PORT)
    if port < 1:
        return refuse(cython.address(setting), b"is no port from 1 to 65535", fault)
    text_add(cython.address(options.default_http), b"http://127.0.0.1:")
    text_number(cython.address(options.default_http), port)
    setting.value = text_view(cython.address(options.default_http))
    return add_check(options, cython.address(setting), False, fault)


def read_expect(options, setting, fault):
    """Read the statuses that are healthy."""
    options.expect = setting.value
    if status_is_listed(options.expect, 0) < 0:
        return refuse(setting, b"must read like 200-299,401, from 100 to 999", fault)
    return True


def read_body(options, setting, fault):
    """Read what a healthy answer's body must hold."""
    options.body = setting.value
    if options.body.length < 1 or options.body.length > BODY_TEXT_BOUND:
        return refuse(setting, b"must have 1 to 256 bytes", fault)
    return True


def add_header(options, setting, fault):
    """Add a line to the request; a fault tells its name alone, since the value may be secret."""
    headers: cython.pointer(Text) = cython.address(options.headers)
    colon: cython.size_t = slice_find(setting.value, b":")
    value: Slice = slice_trim(slice_from(setting.value, colon + 1))
    line: Slice = setting.value
    setting.value = slice_until(line, colon)
    if colon == 0 or colon == line.length or not slice_is_plain(setting.value):
        return refuse(setting, b"must begin a line NAME: VALUE", fault)
    if slice_has_controls(value):
        return refuse(setting, b"has a value with control bytes", fault)
    if headers.length + line.length + HEADER_EXTRA > HEADERS_BOUND:
        return refuse(setting, b"is too long: all headers together have 2048 bytes", fault)
    text_slice(headers, setting.value)
    text_add(headers, b": ")
    text_slice(headers, value)
    text_add(headers, b"\r\n")
    return True


def read_agent(options, setting, fault):
    """Read the agent's URL, below which its routes for the replica that asks stand."""
    options.asks_agent = True
    if not read_url(cython.address(options.agent), setting, fault):
        return False
    path: cython.pointer(Slice) = cython.address(options.agent.url.path)
    while path.length and path.start[path.length - 1] == b"/":
        path.length -= 1
    return True


def read_url(question, setting, fault):
    """Read one address and put its key and value before what is wrong with it."""
    wrong: cython.pointer(cython.const[cython.char])
    wrong = url_read(cython.address(question.url), setting.value, question.tcp)
    return wrong == cython.NULL or refuse(setting, wrong, fault)


def read_pid1(options, setting, fault):
    """Read the names that PID 1 may have."""
    options.pid1_names = setting.value
    if options.pid1_names.length > NAMES_BOUND:
        return refuse(setting, b"has more than 256 bytes", fault)
    rest: Slice = options.pid1_names
    while True:
        length: cython.size_t = slice_find(rest, b",")
        if length == 0:
            return refuse(setting, b"must read NAME or NAME,NAME", fault)
        if length == rest.length:
            return True
        rest = slice_from(rest, length + 1)


def read_timeout(options, setting, fault):
    """Read the one deadline of the whole probe."""
    options.timeout_ms = slice_number(setting.value, LONGEST_TIMEOUT_MS)
    if options.timeout_ms < 1:
        return refuse(setting, b"is no whole number of milliseconds from 1 to 3600000", fault)
    return True


def finish_questions(options):
    """Give every question what was said for all of them, wherever it stood."""
    live: cython.bint = options.mode == MODE_LIVE
    i: cython.size_t
    for i in range(options.checks):
        question: cython.pointer(Question) = cython.address(options.questions[i])
        if question.url.path.length == 0 and not question.tcp:
            question.url.suffix = b"/livez" if live else b"/readyz"
        question.headers = text_view(cython.address(options.headers))
        question.expect = options.expect
        question.body = options.body
    options.agent.url.suffix = b"/self/livez" if live else b"/self/readyz"


def write_key(text, setting):
    """Write who set an option: the flag, or the variable."""
    if setting.origin == OTHER:
        text_slice(text, setting.name)
    elif setting.origin == FLAG:
        text_add(text, b"--")
        text_slice(text, setting.name)
    else:
        text_add(text, b"HEALTHPROBE_")
        i: cython.size_t
        for i in range(setting.name.length):
            text_byte(text, upper(setting.name.start[i]))


def refuse(setting, reason, fault):
    """Name the key, the value and what the value should be; always False."""
    write_key(fault, setting)
    text_byte(fault, b" ")
    quote_value(fault, setting.value)
    text_byte(fault, b" ")
    text_add(fault, reason)
    return False


def quote_value(fault, value):
    """Repeat a wrong value, but nothing of one with an @: a password may stand before it."""
    text_quote(fault, value if slice_find(value, b"@") == value.length else slice_of(b"***"))


def help_print(text):
    """Append the help text: the Python twin prints the same, byte for byte."""
    text_add(
        text,
        b"""\
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
""",
    )
