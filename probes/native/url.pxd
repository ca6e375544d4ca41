# Where a question goes: http://HOST:PORT/PATH or unix:/PATH/TO.sock:/PATH

from text cimport Slice, Text

cdef enum:
    URL_BOUND = 1024
    HOST_BOUND = 253  # RFC 1035, section 2.3.4: a name has at most 255 octets in a message
    LABEL_BOUND = 63  # the same section
    SOCKET_PATH_BOUND = 107  # unix(7): sun_path has 108 bytes, the last of them NUL
    NO_PORT = 0
    HTTP_PORT = 80
    LARGEST_PORT = 65535

cdef enum HostKind:
    HOST_IPV4
    HOST_IPV6
    HOST_NAME
    HOST_SOCKET

cdef struct Url:
    HostKind kind
    Slice origin  # all before the path, for messages
    Slice authority  # HOST:PORT as given, for the Host header
    Slice host  # the address without brackets, the name, or the socket's path
    int port
    Slice path  # empty when none was given
    const char *suffix  # what the probe appends to the path
    char address[16]  # of HOST_IPV4 and HOST_IPV6, in network order

# Reads a URL, or HOST:PORT for `tcp`; returns what is wrong with it, or NULL.
cdef extern const char *url_read(Url *url, Slice text, bint tcp) noexcept nogil
cdef extern void url_print(Text *text, Url *url) noexcept nogil

cdef const char *read_socket(Url *url, Slice rest) noexcept nogil
cdef const char *read_origin(Url *url, Slice origin, size_t scheme, int port) noexcept nogil
cdef bint is_name(Slice host) noexcept nogil
