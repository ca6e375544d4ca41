"""Reading an HTTP/1.x answer: its status, and the line of its body that gives a reason.

A healthy answer is read to the end of its head; where its body is asked for, and of any other
answer, the body's beginning is read too.
Source: RFC 9112.
"""

import cython
from cython.cimports.system import memcmp
from cython.cimports.text import (
    ZERO,
    Slice,
    lower,
    slice_ends,
    slice_find,
    slice_from,
    slice_has_name,
    slice_line,
    slice_number,
    slice_of,
    slice_starts,
    slice_trim,
    slice_until,
)


def response_begin(response, expect, wanted):
    """Get ready for the first byte."""
    response.expect = expect if expect.length else slice_of(b"200-399")
    response.wanted = wanted
    response.expected = False
    response.found = False
    response.phase = IN_STATUS_LINE
    response.status = 0
    response.head_length = 0
    response.line_length = 0
    response.chunked = False
    response.left = -1
    response.body_length = 0


def response_read(response, bytes):
    """Read the next bytes; what follows the end is ignored."""
    i: cython.size_t = 0
    while i < bytes.length and not response_is_final(response):
        read_byte(response, bytes.start[i])
        i += 1


def response_is_final(response):
    """Tell whether further bytes would change nothing."""
    return response.phase >= COMPLETE


def response_has_status(response):
    """Tell whether the whole head has come: an answer, even where its body breaks off."""
    return IN_CHUNK_SIZE <= response.phase <= COMPLETE


def status_is_listed(list, status):
    """Look a status up in a list like 200-299,401."""
    found: cython.int = 0
    while True:
        item: Slice = slice_until(list, slice_find(list, b","))
        dash: cython.size_t = slice_find(item, b"-")
        first: cython.int = slice_number(slice_until(item, dash), LARGEST_STATUS)
        last: cython.int = first
        if dash < item.length:
            last = slice_number(slice_from(item, dash + 1), LARGEST_STATUS)
        if first < LOWEST_STATUS or last < first:
            return -1
        if first <= status <= last:
            found = 1
        if item.length == list.length:
            return found
        list = slice_from(list, item.length + 1)


def response_reason(response):
    """Find the line of the body that says why: the first failed check, or else the first line.

    The agent and Kubernetes mark a failed check by "[-]".
    """
    rest: Slice = body_so_far(response)
    first: Slice = slice_until(rest, 0)
    while rest.length:
        line: Slice = slice_trim(slice_line(cython.address(rest)))
        if slice_starts(line, b"[-]"):
            return slice_until(line, REASON_BOUND)
        if first.length == 0:
            first = line
    return slice_until(first, REASON_BOUND)


def read_byte(response, byte):
    """Read one byte of whatever part the answer has come to."""
    if response.phase == IN_BODY:
        read_body_byte(response, byte)
        return
    response.head_length += 1
    if response.head_length > HEAD_BOUND:
        response.phase = COMPLETE if response.phase == IN_CHUNK_SIZE else OVERSIZED
        return
    if byte != b"\n":
        if response.line_length < HEADER_BOUND:
            response.line[response.line_length] = byte
        response.line_length += 1
        if response.phase == IN_STATUS_LINE and not fits_status_line(response):
            response.phase = NOT_HTTP
        return
    if response.phase == IN_STATUS_LINE:
        end_status_line(response)
    elif response.phase == IN_HEADERS:
        end_header(response)
    else:
        end_chunk_size(response)
    response.line_length = 0


def fits_status_line(response):
    """Tell whether what stands there so far can still become "HTTP/1.x NNN"."""
    line: Slice = kept_line(response)
    prefix: Slice = slice_until(slice_of(b"HTTP/1."), line.length)
    return memcmp(line.start, prefix.start, prefix.length) == 0


def end_status_line(response):
    """Take the status from the whole first line."""
    line: Slice = slice_trim(kept_line(response))
    status: cython.long = -1
    if line.length >= STATUS_LINE_HEAD and line.start[STATUS_AT - 1] == b" ":
        digits: Slice = slice_until(slice_from(line, STATUS_AT), STATUS_DIGITS)
        status = slice_number(digits, LARGEST_STATUS)
        if line.length > STATUS_LINE_HEAD and line.start[STATUS_LINE_HEAD] != b" ":
            status = -1
    if status < LOWEST_STATUS:
        response.phase = NOT_HTTP
        return
    response.status = status
    response.phase = IN_HEADERS


def end_header(response):
    """Take from a header line what tells where the body ends; an empty line ends the head."""
    line: Slice = slice_trim(kept_line(response))
    if line.length == 0:
        end_head(response)
    elif header_is(cython.address(line), b"content-length"):
        response.left = slice_number(line, LARGEST_LENGTH)
    elif header_is(cython.address(line), b"transfer-encoding"):
        response.chunked = slice_has_name(line, slice_of(b"chunked"))


def end_head(response):
    """Go on to the body, or to the next head after an interim answer, or be done."""
    if response.status < FIRST_FINAL and response.status != SWITCHING_PROTOCOLS:
        response.status = 0
        response.phase = IN_STATUS_LINE
        response.chunked = False
        response.left = -1
        return
    response.expected = status_is_listed(response.expect, response.status) > 0
    if (response.expected and response.wanted.length == 0) or has_no_body(response.status):
        response.phase = COMPLETE
    elif response.chunked:
        response.phase = IN_CHUNK_SIZE
    elif response.left == 0:
        response.phase = COMPLETE
    else:
        response.phase = IN_BODY


def has_no_body(status):
    """Tell whether an answer ends with its head, whatever that says. Source: section 6.3."""
    return status < FIRST_FINAL or status == NO_CONTENT or status == NOT_MODIFIED


def end_chunk_size(response):
    """Take the size of the next chunk; the last one has none, and an empty line ends each."""
    line: Slice = kept_line(response)
    line = slice_trim(slice_until(line, slice_find(line, b";")))
    if line.length:
        response.left = hexadecimal(line)
        response.phase = IN_BODY if response.left > 0 else COMPLETE


def hexadecimal(digits):
    """Read a whole hexadecimal number up to LARGEST_LENGTH; -1 for everything else."""
    number: cython.long = 0
    i: cython.size_t
    for i in range(digits.length):
        digit: cython.char = lower(digits.start[i])
        if b"0" <= digit <= b"9":
            number = number * 16 + (digit - ZERO)
        elif b"a" <= digit <= b"f":
            number = number * 16 + (digit - SMALL_A + 10)
        else:
            return -1
        if number > LARGEST_LENGTH:
            return -1
    return number


def read_body_byte(response, byte):
    """Keep the body's beginning until it ends, holds what is wanted, or enough of it is there."""
    response.body[response.body_length] = byte
    response.body_length += 1
    if response.expected and slice_ends(body_so_far(response), response.wanted):
        response.found = True
        response.phase = COMPLETE
    elif response.body_length == BODY_BOUND:
        response.phase = COMPLETE
    elif response.left > 0:
        response.left -= 1
        if response.left == 0:
            response.phase = IN_CHUNK_SIZE if response.chunked else COMPLETE


def body_so_far(response):
    """See what was kept of the body."""
    body: Slice
    body.start = response.body
    body.length = response.body_length
    return body


def header_is(line, name):
    """Tell whether this is the header of that name, and if so leave only its value in `line`."""
    colon: cython.size_t = slice_find(line[0], b":")
    if not slice_has_name(slice_until(line[0], colon), slice_of(name)):
        return False
    line[0] = slice_trim(slice_from(line[0], colon + 1))
    return True


def kept_line(response):
    """See as much of the current line as was kept."""
    line: Slice
    line.start = response.line
    line.length = response.line_length
    return slice_until(line, HEADER_BOUND)
