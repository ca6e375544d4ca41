# The messages of the domain name system, RFC 1035, as far as one question needs them.

from hosts cimport Addresses
from text cimport Slice, Text

cdef enum:
    DNS_PORT = 53
    DNS_MESSAGE_BOUND = 512  # RFC 1035, section 4.2.1: UDP messages

    # Section 4.1.1: the header.
    DNS_HEADER_SIZE = 12
    DNS_FLAGS_AT = 2
    DNS_QUESTIONS_AT = 4
    DNS_ANSWERS_AT = 6
    DNS_RESPONSE = 0x8000
    DNS_RECURSION_DESIRED = 0x0100
    DNS_CODE = 0x000F
    DNS_NO_ERROR = 0
    DNS_NO_SUCH_NAME = 3

    # Section 4.1.2 and 4.1.3: what follows the name of a question and of a record.
    DNS_QUESTION_TAIL = 4
    DNS_RECORD_TAIL = 10
    DNS_CLASS_AT = 2
    DNS_LENGTH_AT = 8
    DNS_POINTER = 0xC0  # section 4.1.4: compression
    DNS_POINTER_SIZE = 2

    DNS_INTERNET = 1
    DNS_IPV4 = 1  # the type A
    DNS_IPV6 = 28  # the type AAAA, RFC 3596

cdef enum DnsAnswer:
    DNS_FOUND
    DNS_NOTHING  # no such name, or no address of this type
    DNS_FAILED  # this server cannot say
    DNS_FOREIGN  # not an answer to our question

cdef extern void dns_write_question(Text *message, Slice name, int kind, int identity) noexcept nogil
cdef extern DnsAnswer dns_read_answer(Slice message, int kind, int identity, Addresses *found) noexcept nogil

cdef void write_number(Text *message, int number) noexcept nogil
cdef int read_number(Slice message, size_t at) noexcept nogil
cdef size_t skip_name(Slice message, size_t at) noexcept nogil
cdef void read_records(Slice message, size_t at, int kind, Addresses *found) noexcept nogil
