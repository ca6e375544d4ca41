"""Slices of other people's bytes, and text with a bound of its own.

Every string that the probe reads is seen through a `Slice`, every one that it builds goes into a
`Text`: no other file of the probe looks for a closing NUL or fills a line by index.
"""

import cython
from cython.cimports.system import memcmp, strlen


def slice_of(string):
    """See a C string as a slice, without its NUL."""
    part: Slice
    part.start = string
    part.length = strlen(string)
    return part


def slice_from(part, offset):
    """See what stands behind the first `offset` bytes; nothing when there are fewer."""
    if offset > part.length:
        offset = part.length
    part.start += offset
    part.length -= offset
    return part


def slice_until(part, length):
    """See the first `length` bytes, or all when there are fewer."""
    if part.length > length:
        part.length = length
    return part


def slice_is(part, string):
    """Tell whether the slice holds exactly this string."""
    return slice_equals(part, slice_of(string))


def slice_equals(part, other):
    """Tell whether two slices hold the same bytes."""
    return part.length == other.length and memcmp(part.start, other.start, part.length) == 0


def slice_starts(part, prefix):
    """Tell whether the slice begins with this string."""
    length: cython.size_t = strlen(prefix)
    return part.length >= length and memcmp(part.start, prefix, length) == 0


def string_starts(string, prefix):
    """Tell whether a C string begins with the slice, without a look at the rest of it."""
    i: cython.size_t
    for i in range(prefix.length):
        if string[i] != prefix.start[i]:
            return False
    return True


def slice_ends(part, tail):
    """Tell whether the slice ends with these bytes."""
    if part.length < tail.length:
        return False
    return slice_equals(slice_from(part, part.length - tail.length), tail)


def slice_has_name(part, name):
    """Tell whether the slice is this host or header name: case does not count."""
    if part.length != name.length:
        return False
    i: cython.size_t
    for i in range(name.length):
        if lower(part.start[i]) != lower(name.start[i]):
            return False
    return True


def slice_is_plain(part):
    """Tell whether all bytes are printable ASCII and none is a blank."""
    i: cython.size_t
    for i in range(part.length):
        if part.start[i] < b"!" or part.start[i] > b"~":
            return False
    return True


def slice_has_controls(part):
    """Tell whether a byte stands here that no line may hold: a control byte other than a tab."""
    i: cython.size_t
    for i in range(part.length):
        byte: cython.char = part.start[i]
        if (byte < FIRST_PRINTABLE and byte != b"\t") or byte == DELETE:
            return True
    return False


def slice_find(part, byte):
    """Find where the byte first stands; the slice's length when it is not there."""
    i: cython.size_t = 0
    while i < part.length and part.start[i] != byte:
        i += 1
    return i


def slice_trim(part):
    """Leave out the blanks at both ends."""
    while part.length > 0 and is_blank(part.start[0]):
        part = slice_from(part, 1)
    while part.length > 0 and is_blank(part.start[part.length - 1]):
        part.length -= 1
    return part


def slice_word(rest):
    """Take the next word off a line; empty when there is none left."""
    word: Slice = slice_trim(rest[0])
    length: cython.size_t = 0
    while length < word.length and not is_blank(word.start[length]):
        length += 1
    rest[0] = slice_from(word, length)
    return slice_until(word, length)


def slice_line(rest):
    """Take the next line off a text, without its end of line."""
    length: cython.size_t = slice_find(rest[0], b"\n")
    line: Slice = slice_until(rest[0], length)
    rest[0] = slice_from(rest[0], length + 1)
    return line


def slice_number(part, largest):
    """Read a whole decimal number from 0 to `largest`; -1 for everything else."""
    if part.length == 0 or part.length >= NUMBER_DIGITS:
        return -1
    number: cython.long = 0
    i: cython.size_t
    for i in range(part.length):
        if part.start[i] < b"0" or part.start[i] > b"9":
            return -1
        number = number * 10 + (part.start[i] - ZERO)
        if number > largest:
            return -1
    return number


def lower(byte):
    """Turn an ASCII capital into its small letter."""
    if b"A" <= byte <= b"Z":
        return byte + 32
    return byte


def upper(byte):
    """Turn an ASCII small letter into its capital."""
    if b"a" <= byte <= b"z":
        return byte - 32
    return byte


def is_blank(byte):
    """Tell whether the byte parts words: a space, a tab or an end of line."""
    return byte == b" " or byte == b"\t" or byte == b"\r" or byte == b"\n"


def text_byte(text, byte):
    """Append one byte, unless the text is full."""
    if text.length < TEXT_BOUND:
        text.bytes[text.length] = byte
        text.length += 1


def text_add(text, string):
    """Append a C string, as far as there is room."""
    text_slice(text, slice_of(string))


def text_slice(text, part):
    """Append a slice, as far as there is room."""
    i: cython.size_t
    for i in range(part.length):
        text_byte(text, part.start[i])


def text_number(text, number):
    """Append a number that is not negative, in decimal."""
    digits: cython.char[NUMBER_DIGITS]
    count: cython.size_t = 0
    while count == 0 or (number > 0 and count < NUMBER_DIGITS):
        digits[count] = ZERO + number % 10
        number //= 10
        count += 1
    while count > 0:
        count -= 1
        text_byte(text, digits[count])


def text_quote(text, part):
    """Append what a user wrote, in quotes, and no more of it than QUOTE_BOUND bytes."""
    text_byte(text, b"'")
    text_slice(text, slice_until(part, QUOTE_BOUND))
    if part.length > QUOTE_BOUND:
        text_add(text, b"...")
    text_byte(text, b"'")


def text_view(text):
    """See a text as a slice."""
    part: Slice
    part.start = text.bytes
    part.length = text.length
    return part


def text_blank_controls(text):
    """Put spaces where control bytes stand, so that no answer can drive a terminal or a log.

    Those are 0x00-0x1f, 0x7f, and the controls that UTF-8 writes as 0xc2 and 0x80-0x9f.
    """
    i: cython.size_t
    for i in range(text.length):
        if text.bytes[i] < FIRST_PRINTABLE or text.bytes[i] == DELETE:
            text.bytes[i] = b" "
        elif text.bytes[i] == UTF8_LATIN1_LEAD and i + 1 < text.length:
            if FIRST_C1 <= text.bytes[i + 1] <= LAST_C1:
                text.bytes[i] = b" "
                text.bytes[i + 1] = b" "
