# Text with a visible bound: the only way the probe builds lines, requests and reasons.

cdef enum:
    TEXT_BOUND = 4096  # the first 4096 bytes of a probe's output are all that Docker keeps
    NUMBER_DIGITS = 20  # more than the digits of the largest 64-bit number
    QUOTE_BOUND = 100  # how much of a wrong value an error repeats

    ZERO = 0x30  # the digit
    FIRST_PRINTABLE = 0x20
    DELETE = 0x7F
    UTF8_LATIN1_LEAD = 0xC2
    FIRST_C1 = 0x80
    LAST_C1 = 0x9F

cdef struct Slice:  # bytes that belong to somebody else
    const char *start
    size_t length

cdef struct Text:  # bytes of its own; what passes the bound is cut
    char bytes[TEXT_BOUND]
    size_t length

cdef extern Slice slice_of(const char *string) noexcept nogil
cdef extern Slice slice_from(Slice part, size_t offset) noexcept nogil
cdef extern Slice slice_until(Slice part, size_t length) noexcept nogil
cdef extern bint slice_is(Slice part, const char *string) noexcept nogil
cdef extern bint slice_equals(Slice part, Slice other) noexcept nogil
cdef extern bint slice_starts(Slice part, const char *prefix) noexcept nogil
cdef extern bint string_starts(const char *string, Slice prefix) noexcept nogil
cdef extern bint slice_ends(Slice part, Slice tail) noexcept nogil
cdef extern bint slice_has_name(Slice part, Slice name) noexcept nogil
cdef extern bint slice_is_plain(Slice part) noexcept nogil
cdef extern bint slice_has_controls(Slice part) noexcept nogil
cdef extern size_t slice_find(Slice part, char byte) noexcept nogil
cdef extern Slice slice_trim(Slice part) noexcept nogil
cdef extern Slice slice_word(Slice *rest) noexcept nogil
cdef extern Slice slice_line(Slice *rest) noexcept nogil
cdef extern long slice_number(Slice part, long largest) noexcept nogil

cdef extern char lower(char byte) noexcept nogil
cdef extern char upper(char byte) noexcept nogil
cdef extern bint is_blank(char byte) noexcept nogil

cdef extern void text_byte(Text *text, char byte) noexcept nogil
cdef extern void text_add(Text *text, const char *string) noexcept nogil
cdef extern void text_slice(Text *text, Slice part) noexcept nogil
cdef extern void text_number(Text *text, long number) noexcept nogil
cdef extern void text_quote(Text *text, Slice part) noexcept nogil
cdef extern Slice text_view(Text *text) noexcept nogil
cdef extern void text_blank_controls(Text *text) noexcept nogil
