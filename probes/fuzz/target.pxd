# What libFuzzer calls: https://llvm.org/docs/LibFuzzer.html

from options cimport Options
from response cimport Response
from text cimport Slice, Text

cdef extern from "<stdlib.h>" nogil:
    void abort()

cdef enum:
    ARGUMENTS_BOUND = 32
    CUT_AT_MOST = 7  # how many bytes the same answer is cut into, to be read a second time

cdef public int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) noexcept nogil

cdef void read_options(Slice given) noexcept nogil
cdef void read_response(Slice given) noexcept nogil
cdef void read_dns(Slice given) noexcept nogil
cdef void report(Options *options, Slice answer) noexcept nogil
cdef void hold(bint truth) noexcept nogil
cdef size_t split_arguments(char **arguments, char *copy, Slice given) noexcept nogil
