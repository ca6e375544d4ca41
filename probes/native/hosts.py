"""Reading names and name servers from the container's files. Docker writes both of them."""

import cython
from cython.cimports.system import (
    AF_INET,
    AF_INET6,
    O_CLOEXEC,
    O_RDONLY,
    close,
    inet_pton,
    memcpy,
    open,
    read,
)
from cython.cimports.text import (
    Slice,
    slice_find,
    slice_has_name,
    slice_is,
    slice_line,
    slice_of,
    slice_until,
    slice_word,
)


def addresses_add(list, family, bytes):
    """Append an address, unless the list is full."""
    if list.count < ADDRESSES_BOUND:
        list.entries[list.count].family = family
        memcpy(list.entries[list.count].bytes, bytes, IPV4_SIZE if family == AF_INET else IPV6_SIZE)
        list.count += 1


def hosts_find(found, name):
    """Look a name up in /etc/hosts; localhost has its addresses even where that file is missing.

    Source: RFC 6761, section 6.3, for localhost.
    """
    buffer: cython.char[HOSTS_BOUND]
    length: cython.Py_ssize_t = file_read(b"/etc/hosts", buffer, HOSTS_BOUND)
    rest: Slice
    rest.start = buffer
    rest.length = length if length > 0 else 0
    while rest.length:
        line: Slice = slice_line(cython.address(rest))
        line = slice_until(line, slice_find(line, b"#"))
        address: Slice = slice_word(cython.address(line))
        if line_names(line, name):
            add_written(found, address)
    if found.count == 0 and slice_has_name(name, slice_of(b"localhost")):
        add_written(found, slice_of(b"127.0.0.1"))
        add_written(found, slice_of(b"::1"))


def line_names(line, name):
    """Tell whether one of the words of a line is this name."""
    word: Slice = slice_word(cython.address(line))
    while word.length:
        if slice_has_name(word, name):
            return True
        word = slice_word(cython.address(line))
    return False


def nameservers_read(found):
    """Read the name servers from /etc/resolv.conf; with none, this machine is asked.

    Source: resolv.conf(5). The search list is not applied: service names of Compose are whole.
    """
    buffer: cython.char[RESOLV_CONF_BOUND]
    length: cython.Py_ssize_t = file_read(b"/etc/resolv.conf", buffer, RESOLV_CONF_BOUND)
    rest: Slice
    rest.start = buffer
    rest.length = length if length > 0 else 0
    while rest.length and found.count < NAMESERVERS_BOUND:
        line: Slice = slice_line(cython.address(rest))
        if slice_is(slice_word(cython.address(line)), b"nameserver"):
            add_written(found, slice_word(cython.address(line)))
    if found.count == 0:
        add_written(found, slice_of(b"127.0.0.1"))


def add_written(list, written):
    """Append an address as people write it; what is no address is passed over."""
    bytes: cython.char[IPV6_SIZE]
    if address_read(written, AF_INET, bytes):
        addresses_add(list, AF_INET, bytes)
    elif address_read(written, AF_INET6, bytes):
        addresses_add(list, AF_INET6, bytes)


def address_read(written, family, bytes):
    """Read a numeric address of one family into IPV4_SIZE or IPV6_SIZE bytes, network order."""
    string: cython.char[ADDRESS_TEXT_SIZE]
    if written.length >= ADDRESS_TEXT_SIZE:
        return False
    memcpy(string, written.start, written.length)
    string[written.length] = 0
    return inet_pton(family, string, bytes) == 1


def file_read(path, buffer, bound):
    """Read the beginning of a file, `bound` bytes at most; -1 when it cannot be read."""
    fd: cython.int = open(path, O_RDONLY | O_CLOEXEC)
    if fd < 0:
        return -1
    length: cython.size_t = 0
    got: cython.Py_ssize_t = 1
    while got > 0 and length < bound:
        got = read(fd, buffer + length, bound - length)
        if got > 0:
            length += got
    close(fd)
    return -1 if got < 0 else cython.cast(cython.Py_ssize_t, length)
