"""Writing one question to a name server and reading its answer.

libc's resolver is not used: linked statically it would be most of the probe, and it cannot be held
to a deadline of milliseconds.
"""

import cython
from cython.cimports.hosts import IPV4_SIZE, IPV6_SIZE, addresses_add
from cython.cimports.system import AF_INET, AF_INET6
from cython.cimports.text import (
    Slice,
    slice_find,
    slice_from,
    slice_until,
    text_byte,
    text_slice,
)


def dns_write_question(message, name, kind, identity):
    """Append the question for one name; `url` has checked the lengths of its labels."""
    write_number(message, identity)
    write_number(message, DNS_RECURSION_DESIRED)
    write_number(message, 1)  # one question, no records
    write_number(message, 0)
    write_number(message, 0)
    write_number(message, 0)
    while name.length:
        label: Slice = slice_until(name, slice_find(name, b"."))
        text_byte(message, label.length)
        text_slice(message, label)
        name = slice_from(name, label.length + 1)
    text_byte(message, 0)
    write_number(message, kind)
    write_number(message, DNS_INTERNET)


def dns_read_answer(message, kind, identity, found):
    """Collect the addresses of an answer, whatever aliases lead to them."""
    if message.length < DNS_HEADER_SIZE or read_number(message, 0) != identity:
        return DNS_FOREIGN
    flags: cython.int = read_number(message, DNS_FLAGS_AT)
    if not flags & DNS_RESPONSE:
        return DNS_FOREIGN
    if flags & DNS_CODE == DNS_NO_SUCH_NAME:
        return DNS_NOTHING
    if flags & DNS_CODE != DNS_NO_ERROR:
        return DNS_FAILED
    at: cython.size_t = DNS_HEADER_SIZE
    questions: cython.int = read_number(message, DNS_QUESTIONS_AT)
    while questions > 0 and at < message.length:
        at = skip_name(message, at) + DNS_QUESTION_TAIL
        questions -= 1
    read_records(message, at, kind, found)
    return DNS_FOUND if found.count else DNS_NOTHING


def read_records(message, at, kind, found):
    """Collect the addresses of the wanted type from the answer section, which begins at `at`."""
    family: cython.int = AF_INET if kind == DNS_IPV4 else AF_INET6
    size: cython.int = IPV4_SIZE if kind == DNS_IPV4 else IPV6_SIZE
    records: cython.int = read_number(message, DNS_ANSWERS_AT)
    while records > 0:
        at = skip_name(message, at)
        data: cython.size_t = at + DNS_RECORD_TAIL
        if data > message.length:
            return
        length: cython.int = read_number(message, at + DNS_LENGTH_AT)
        if data + length > message.length:
            return
        if (
            read_number(message, at) == kind
            and read_number(message, at + DNS_CLASS_AT) == DNS_INTERNET
            and length == size
        ):
            addresses_add(found, family, message.start + data)
        at = data + length
        records -= 1


def skip_name(message, at):
    """Find the end of a name; past the end of the message when the name has none."""
    while at < message.length and message.start[at] != 0:
        if message.start[at] >= DNS_POINTER:
            return at + DNS_POINTER_SIZE
        at += message.start[at] + 1
    return at + 1


def write_number(message, number):
    """Append 16 bits in network order."""
    text_byte(message, number >> 8)
    text_byte(message, number & 0xFF)


def read_number(message, at):
    """Read 16 bits in network order; 0 when they are not all there."""
    if at + 2 > message.length:
        return 0
    return (message.start[at] << 8) | message.start[at + 1]
