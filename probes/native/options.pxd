# The command line and the variables, folded into one set of options.

from exchange cimport Question
from text cimport Slice, Text

cdef enum:
    DEFAULT_TIMEOUT_MS = 2000
    LONGEST_TIMEOUT_MS = 3600000  # an hour: a start may wait for a migration
    NAMES_BOUND = 256
    CHECKS_BOUND = 8  # --http and --tcp together
    QUESTIONS_BOUND = 9  # the agent's among them
    HEADERS_BOUND = 2048  # so that the whole request fits its text
    HEADER_EXTRA = 3  # a space, CR and LF, which the user need not write
    BODY_TEXT_BOUND = 256

cdef enum Mode:
    MODE_UNSET
    MODE_LIVE
    MODE_READY

cdef enum Option:  # those with a value, in the order of `option_names`
    HTTP
    TCP
    EXPECT
    BODY
    HEADER
    PID1
    AGENT
    TIMEOUT
    OPTIONS_COUNT

cdef enum Origin:
    FLAG  # --name
    VARIABLE  # HEALTHPROBE_NAME
    OTHER  # the name itself

cdef struct Setting:  # the value of one option, and who set it
    Slice name
    Origin origin
    Slice value

cdef struct Options:
    Mode mode
    bint help
    bint wait
    unsigned int given  # bit N is set when option N was given by a flag
    Question questions[CHECKS_BOUND]
    size_t checks
    bint asks_agent
    Question agent
    Slice expect
    Slice body
    Text headers
    Slice pid1_names  # comma-separated; empty when PID 1 is not judged
    int timeout_ms
    Text default_http

# Reads all; on a fault says in `fault` what to change and returns False.
cdef extern bint options_read(Options *options, int argc, char **argv, Text *fault) noexcept nogil
cdef extern void help_print(Text *text) noexcept nogil

cdef bint read_arguments(Options *options, int argc, char **argv, Text *fault) noexcept nogil
cdef Mode mode_of(Slice argument) noexcept nogil
cdef Slice option_names() noexcept nogil
cdef Option find_option(Slice flag, Slice *name) noexcept nogil
cdef bint read_variables(Options *options, Text *fault) noexcept nogil
cdef Slice variable(Slice name) noexcept nogil
cdef bint take(Options *options, Option option, Setting *setting, Text *fault) noexcept nogil
cdef bint add_check(Options *options, Setting *setting, bint tcp, Text *fault) noexcept nogil
cdef bint add_default_check(Options *options, Text *fault) noexcept nogil
cdef bint read_expect(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef bint read_body(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef bint add_header(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef bint read_agent(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef bint read_url(Question *question, Setting *setting, Text *fault) noexcept nogil
cdef bint read_pid1(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef bint read_timeout(Options *options, Setting *setting, Text *fault) noexcept nogil
cdef void finish_questions(Options *options) noexcept nogil
cdef void write_key(Text *text, Setting *setting) noexcept nogil
cdef bint refuse(Setting *setting, const char *reason, Text *fault) noexcept nogil
cdef void quote_value(Text *fault, Slice value) noexcept nogil
