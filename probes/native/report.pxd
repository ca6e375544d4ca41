# The probe's one line: a verdict, a reason, and the facts as KEY=VALUE.

from exchange cimport Exchange, Outcome
from options cimport Options
from process cimport Judgement, Process
from text cimport Slice, Text

cdef enum:
    REASON_ROOM = 3800  # what a reason may take of the line, so that the facts always fit
    NAME_FACT_BOUND = 32
    MARK_SIZE = 2
    AGENT_FAILED = 503
    FIRST_AGENT_OK = 200
    LAST_AGENT_OK = 299

cdef struct Findings:  # what each check found; pid1 and agent are NULL when not asked for
    Judgement *pid1
    Exchange *checks
    size_t count
    Exchange *agent

# Writes the line up to the time it took, and returns whether the container is healthy.
cdef extern bint report_findings(Text *line, Findings *findings, Options *options) noexcept nogil
cdef extern void report_fault(Text *line, Slice fault) noexcept nogil
cdef extern void report_time(Text *line, long elapsed_ms) noexcept nogil

cdef bint pid1_failed(Judgement *judgement) noexcept nogil
cdef Exchange *first_failed(Findings *findings) noexcept nogil
cdef bint check_failed(Exchange *exchange) noexcept nogil
cdef bint agent_failed(Exchange *exchange) noexcept nogil
cdef void explain_pid1(Text *text, Judgement *judgement, Slice names) noexcept nogil
cdef void explain_exchange(Text *text, Exchange *exchange, int timeout_ms) noexcept nogil
cdef void explain_answer(Text *text, Exchange *exchange) noexcept nogil
cdef void write_mark(Text *text, char mark, Exchange *exchange, int timeout_ms) noexcept nogil
cdef void write_facts(Text *line, Findings *findings, Options *options) noexcept nogil
cdef void write_pid1(Text *line, Judgement *judgement, Slice names) noexcept nogil
cdef void write_checks(Text *line, Findings *findings, bint tcp) noexcept nogil
cdef void write_agent(Text *line, Exchange *exchange) noexcept nogil
cdef void write_outcome(Text *line, Exchange *exchange) noexcept nogil
cdef void write_alternatives(Text *text, Slice names) noexcept nogil
cdef void write_name(Text *text, Process *process, Slice names) noexcept nogil
cdef const char *outcome_words(Exchange *exchange) noexcept nogil
cdef const char *fault_words(int fault) noexcept nogil
cdef Slice behind_bar(const char *words) noexcept nogil
