# One question to one URL, from the name to the last byte of the answer, without ever blocking.

from hosts cimport Addresses
from response cimport Response
from text cimport Slice, Text
from url cimport Url

cdef enum:
    NAMESERVER_PATIENCE_MS = 500  # how long one name server is waited for
    NAMESERVER_ROUNDS = 2  # how often each of them is asked
    RECEIVE_BOUND = 4096

cdef enum Phase:
    RESOLVING
    CONNECTING
    SENDING
    RECEIVING
    DONE

cdef enum Outcome:
    PENDING
    CONNECTED  # which is all that a TCP question asks for
    ANSWERED
    NO_SUCH_NAME
    NO_NAMESERVER
    NO_CONNECTION  # `fault` says why
    BROKEN  # the connection was; `fault` says how
    CLOSED
    GARBAGE
    LARGE_HEAD
    TIMED_OUT  # `phase` says when

cdef struct Question:  # what is asked, and which answer is well
    Url url
    bint tcp  # nothing is sent: the connection is the answer
    Slice headers  # whole lines of the request's head, each with its end
    Slice expect  # statuses, as `response` reads them; empty for 200-399
    Slice body  # what the body must hold; empty for anything

cdef struct Exchange:
    Question *question
    Phase phase
    Outcome outcome
    int fault  # errno
    int fd  # -1 when there is none
    long wake_ms  # when to go on even though nothing has happened; 0 for never

    Addresses nameservers
    size_t asked  # how many questions went to name servers
    int kind  # of the address that is asked for
    int identity

    Addresses addresses
    size_t address  # the one in use

    size_t sent
    Response response

cdef extern void exchange_begin(Exchange *exchange, Question *question, long now_ms) noexcept nogil
cdef extern short exchange_events(Exchange *exchange) noexcept nogil
cdef extern void exchange_go_on(Exchange *exchange, long now_ms) noexcept nogil
cdef extern void exchange_wake(Exchange *exchange, long now_ms) noexcept nogil
cdef extern void exchange_time_out(Exchange *exchange) noexcept nogil

cdef void end(Exchange *exchange, Outcome outcome, int fault) noexcept nogil
cdef void begin_name(Exchange *exchange, long now_ms) noexcept nogil
cdef void ask_nameserver(Exchange *exchange, long now_ms) noexcept nogil
cdef void hear_nameserver(Exchange *exchange, long now_ms) noexcept nogil
cdef void try_address(Exchange *exchange) noexcept nogil
cdef void try_next_address(Exchange *exchange, int fault) noexcept nogil
cdef void finish_connecting(Exchange *exchange) noexcept nogil
cdef void write_request(Text *request, Question *question) noexcept nogil
cdef void add_header(Text *request, Slice headers, const char *name, Slice value) noexcept nogil
cdef void send_request(Exchange *exchange) noexcept nogil
cdef void receive(Exchange *exchange) noexcept nogil
