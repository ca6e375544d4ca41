# The C symbol that the program starts at.

from exchange cimport Exchange, Question
from options cimport Options
from text cimport Text

cdef enum:
    EXIT_HEALTHY = 0
    EXIT_UNHEALTHY = 1  # Docker reserves 2
    STDOUT = 1
    STDOUT_PATIENCE_MS = 1000  # whoever reads the line is not waited for any longer
    ATTEMPT_MS = 2000  # with --wait: how long one attempt may hang
    PAUSE_MS = 100  # and what lies between two

cdef public int main(int argc, char **argv) noexcept nogil

cdef bint probe(Options *options, long began_ms, Text *line) noexcept nogil
cdef bint attempt(Options *options, long began_ms, long deadline_ms, Text *line) noexcept nogil
cdef long earlier(long one_ms, long other_ms) noexcept nogil
cdef void run(Exchange *exchanges, size_t count, long deadline_ms) noexcept nogil
cdef bint run_step(Exchange *exchanges, size_t count, long deadline_ms) noexcept nogil
cdef void write_line(Text *line) noexcept nogil
cdef bint stdout_is_open() noexcept nogil
cdef short poll_stdout(int timeout_ms) noexcept nogil
cdef void block_sigpipe() noexcept nogil
cdef long clock_ms() noexcept nogil
