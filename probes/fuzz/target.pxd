# What libFuzzer calls: https://llvm.org/docs/LibFuzzer.html
#
# The linker puts this `open`, `read` and `close` in place of the system's (ld(1), --wrap), so that
# the readers of /etc and /proc read from an input. Python's headers ask for large files: that makes
# every `open` an `open64`.

from exchange cimport Exchange, Question
from options cimport Options
from process cimport Judgement
from response cimport Response
from text cimport Slice, Text

cdef extern from "<stdlib.h>" nogil:
    void abort()

cdef extern from "<unistd.h>" nogil:
    char **environment "environ"

cdef extern from * nogil:
    """
    int __real_open64(const char *path, int flags);
    ssize_t __real_read(int fd, void *buffer, size_t length);
    int __real_close(int fd);
    """
    int __real_open64(const char *path, int flags)
    ssize_t __real_read(int fd, void *buffer, size_t length)
    int __real_close(int fd)

cdef enum:
    WORDS_BOUND = 32  # arguments, or variables, and the NULL behind them
    ARGUMENTS_BOUND = 33  # and the program's own name before them
    CUT_AT_MOST = 7  # how many bytes the same answer is cut into, to be read a second time
    READ_AT_MOST = 64  # how many bytes of a file come at a time
    OPEN_BOUND = 2  # the list of children, and a file of one of them
    END_OF_PART = 0xFF

cdef struct Files:  # what is read while `feeding`; else the system's own files are
    bint feeding
    Slice rest  # the parts of the input that nobody has opened yet
    bint open[OPEN_BOUND]
    Slice unread[OPEN_BOUND]

cdef Files files

cdef public int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) noexcept nogil
cdef public int __wrap_open64(const char *path, int flags) noexcept nogil
cdef public ssize_t __wrap_read(int fd, char *buffer, size_t bound) noexcept nogil
cdef public int __wrap_close(int fd) noexcept nogil

cdef void read_options(Slice given) noexcept nogil
cdef void read_response(Slice given) noexcept nogil
cdef void read_dns(Slice given) noexcept nogil
cdef void read_names(Slice given) noexcept nogil
cdef void judge_pid1(Slice given) noexcept nogil
cdef void report_answer(Options *options, Slice answer) noexcept nogil
cdef void answer_question(Exchange *exchange, Question *question, Slice answer) noexcept nogil
cdef void hold_line(Text *line) noexcept nogil
cdef void hold(bint truth) noexcept nogil
cdef Slice next_part(Slice *rest) noexcept nogil
cdef int split_words(char **words, char *copy, Slice part) noexcept nogil
cdef void begin_feeding(Slice given) noexcept nogil
cdef void end_feeding() noexcept nogil
