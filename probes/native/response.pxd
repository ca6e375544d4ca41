# Reading an HTTP answer byte by byte, so that no size of any part of it needs a larger buffer.

from text cimport Slice, Text

cdef enum:
    HEAD_BOUND = 65536  # all header lines together
    HEADER_BOUND = 64  # how much of one header line is looked at
    BODY_BOUND = 4096  # how much of a body is looked at
    LARGEST_LENGTH = 1 << 30  # of a body or a chunk; what says more is read until the bound
    REASON_BOUND = 512  # how long a line of it may be repeated
    SWITCHING_PROTOCOLS = 101
    FIRST_FINAL = 200
    NO_CONTENT = 204
    NOT_MODIFIED = 304
    LOWEST_STATUS = 100
    LARGEST_STATUS = 999
    STATUS_LINE_HEAD = 12  # "HTTP/1.1 503"
    STATUS_AT = 9
    STATUS_DIGITS = 3
    SMALL_A = 0x61

cdef enum ResponsePhase:
    IN_STATUS_LINE
    IN_HEADERS
    IN_CHUNK_SIZE
    IN_BODY
    COMPLETE
    NOT_HTTP
    OVERSIZED

cdef struct Response:
    Slice expect  # the statuses that are healthy, as `status_is_listed` reads them
    Slice wanted  # what the body of a healthy answer must hold; empty for nothing
    bint expected  # whether the status is healthy
    bint found  # whether the body holds what is wanted
    ResponsePhase phase
    int status  # 0 until the status line is read
    size_t head_length
    char line[HEADER_BOUND]
    size_t line_length  # of the whole line, which may be longer than what is kept
    bint chunked
    long left  # of the body, or of its current chunk; -1 while unknown
    char body[BODY_BOUND]
    size_t body_length

cdef extern void response_begin(Response *response, Slice expect, Slice wanted) noexcept nogil
cdef extern void response_read(Response *response, Slice bytes) noexcept nogil
cdef extern bint response_is_final(Response *response) noexcept nogil
cdef extern bint response_has_status(Response *response) noexcept nogil

# Tells whether 200-299,401 holds the status: 1, 0, or -1 when the list cannot be read.
cdef extern int status_is_listed(Slice list, int status) noexcept nogil
cdef extern Slice response_reason(Response *response) noexcept nogil

cdef void read_byte(Response *response, char byte) noexcept nogil
cdef bint fits_status_line(Response *response) noexcept nogil
cdef void end_status_line(Response *response) noexcept nogil
cdef void end_header(Response *response) noexcept nogil
cdef bint has_no_body(int status) noexcept nogil
cdef void end_chunk_size(Response *response) noexcept nogil
cdef long hexadecimal(Slice digits) noexcept nogil
cdef void end_head(Response *response) noexcept nogil
cdef void read_body_byte(Response *response, char byte) noexcept nogil
cdef bint header_is(Slice *line, const char *name) noexcept nogil
cdef Slice body_so_far(Response *response) noexcept nogil
cdef Slice kept_line(Response *response) noexcept nogil
