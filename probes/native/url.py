"""Reading the URLs that a probe is given.

A URL ends up in a request line and in a Host header, so nothing passes that could end either: no
blanks, no control bytes, no bytes beyond ASCII.
"""

import cython
from cython.cimports.hosts import address_read
from cython.cimports.system import AF_INET, AF_INET6
from cython.cimports.text import (
    Slice,
    lower,
    slice_find,
    slice_from,
    slice_is_plain,
    slice_number,
    slice_of,
    slice_starts,
    slice_until,
    text_add,
    text_byte,
    text_slice,
)


def url_read(url, text, tcp):
    """Read one URL, or HOST:PORT for a TCP question, into its parts, or say what is wrong."""
    url.suffix = b""
    if text.length > URL_BOUND:
        return b"has more than 1024 bytes"
    if not slice_is_plain(text):
        return b"holds a space, a control byte or a byte beyond ASCII"
    if tcp:
        url.path = slice_from(text, text.length)
        return read_origin(url, text, 0, NO_PORT)
    if slice_starts(text, b"http://"):
        scheme: cython.size_t = slice_of(b"http://").length
        length: cython.size_t = scheme + slice_find(slice_from(text, scheme), b"/")
        url.path = slice_from(text, length)
        return read_origin(url, slice_until(text, length), scheme, HTTP_PORT)
    if slice_starts(text, b"unix:/"):
        return read_socket(url, text)
    if slice_starts(text, b"https://"):
        return b"asks for TLS, which the probe does not speak; use http://"
    return b"must read http://HOST:PORT/PATH or unix:/PATH/TO.sock:/PATH"


def url_print(text, url):
    """Append the URL as it is asked, with what the probe appends to the path."""
    text_slice(text, url.origin)
    if url.kind == HOST_SOCKET:
        text_byte(text, b":")
    text_slice(text, url.path)
    text_add(text, url.suffix)


def read_socket(url, rest):
    """Read unix:/PATH/TO.sock[:/PATH]; the first ":/" behind the scheme ends the socket's path."""
    scheme: cython.size_t = slice_of(b"unix:").length
    url.kind = HOST_SOCKET
    url.port = 0
    url.authority = slice_of(b"localhost")
    url.host = slice_from(rest, scheme)
    length: cython.size_t = 0
    while length < url.host.length and not slice_starts(slice_from(url.host, length), b":/"):
        length += 1
    url.path = slice_from(url.host, length + 1)
    url.host = slice_until(url.host, length)
    url.origin = slice_until(rest, scheme + length)
    if length > SOCKET_PATH_BOUND:
        return b"names a socket by more than 107 bytes"
    return cython.NULL


def read_origin(url, origin, scheme, port):
    """Read HOST[:PORT] behind the scheme; HOST is an IPv4 address, [an IPv6 address], or a name."""
    url.origin = origin
    url.authority = slice_from(origin, scheme)
    url.port = port
    if slice_find(url.authority, b"@") < url.authority.length:
        return b"must hold no user or password"
    rest: Slice
    if slice_starts(url.authority, b"["):
        end: cython.size_t = slice_find(url.authority, b"]")
        url.host = slice_from(slice_until(url.authority, end), 1)
        rest = slice_from(url.authority, end + 1)
        url.kind = HOST_IPV6
        closed: cython.bint = end < url.authority.length
        if not closed or not address_read(url.host, AF_INET6, url.address):
            return b"holds no IPv6 address between [ and ]"
    else:
        url.host = slice_until(url.authority, slice_find(url.authority, b":"))
        rest = slice_from(url.authority, url.host.length)
        url.kind = HOST_IPV4
        if not address_read(url.host, AF_INET, url.address):
            url.kind = HOST_NAME
            if not is_name(url.host):
                return b"names no valid host"
    if rest.length:
        url.port = NO_PORT
        if rest.start[0] == b":":
            url.port = slice_number(slice_from(rest, 1), LARGEST_PORT)
    if url.port <= NO_PORT:
        return b"has no port from 1 to 65535"
    return cython.NULL


def is_name(host):
    """Tell whether labels of letters, digits, - and _ stand between single dots.

    Only digits and dots are an IPv4 address gone wrong, not a name.
    """
    if host.length > HOST_BOUND:
        return False
    numeric: cython.bint = True
    label: cython.size_t = 0
    i: cython.size_t
    for i in range(host.length):
        byte: cython.char = lower(host.start[i])
        if byte == b".":
            if label == 0:
                return False
            label = 0
            continue
        if not b"0" <= byte <= b"9":
            numeric = False
            if not (b"a" <= byte <= b"z" or byte == b"-" or byte == b"_"):
                return False
        label += 1
        if label > LABEL_BOUND:
            return False
    return label > 0 and not numeric
