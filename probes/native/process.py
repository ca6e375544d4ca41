"""Judging PID 1 of the container.

"bun run SCRIPT" does not exec: it stays PID 1, with one thread, asleep until its child ends, and
where the image has only a small shell, "sh -c" stands in between. The application is the child
below. So a PID 1 with one thread and children is taken for a launcher, whatever its arguments say;
an application under Bun or Node always has more threads. An init is one that nobody has to list,
since Docker puts its own there ("init: true").

Node writes process.title over its name and its arguments: what runs is then unknown.
Sources: proc(5), libuv's uv_set_process_title; measured with Bun 1.4 and Node 24.
"""

import cython
from cython.cimports.hosts import file_read
from cython.cimports.system import O_CLOEXEC, O_RDONLY, close, memcpy, open, read
from cython.cimports.text import (
    ZERO,
    Slice,
    Text,
    slice_equals,
    slice_find,
    slice_from,
    slice_number,
    slice_of,
    slice_until,
    slice_word,
    text_add,
    text_byte,
    text_number,
)


def process_judge(judgement, names):
    """Judge PID 1, and where it is a launcher what it runs."""
    application: cython.pointer(Process) = cython.address(judgement.application)
    read_process(application, 1, names)
    judgement.first = application[0]
    judgement.verdict = PROCESS_UNSEEN
    if application.state == 0:
        return
    if not (application.listed or application.renamed or is_init(application)):
        judgement.verdict = PROCESS_FOREIGN
        return
    depth: cython.int = 0
    while depth < LAUNCHER_DEPTH and is_launcher(application):
        if not find_child(application, application.pid, names):
            judgement.verdict = PROCESS_CHILDLESS
            return
        depth += 1
    if not (application.listed or application.renamed):
        judgement.verdict = PROCESS_CHILDLESS
    elif application.state == b"T" or application.state == b"t" or is_over(application):
        judgement.verdict = PROCESS_HALTED
    elif application.listed:
        judgement.verdict = PROCESS_OK


def process_is_listed(process, names):
    """Tell whether the process has one of the names."""
    return process_name(process, names).length > 0


def process_name(process, names):
    """Find the listed name that a process has, as the kernel's or as its program's; or nothing."""
    while names.length:
        length: cython.size_t = slice_find(names, b",")
        name: Slice = slice_until(names, length)
        if slice_equals(command_of(process), name) or slice_equals(program_of(process), name):
            return name
        names = slice_from(names, length + 1)
    return names


def is_launcher(process):
    """Tell whether a process only waits for what it has started."""
    children: Children
    if process.threads != 1 or process.renamed:
        return False
    begin_children(cython.address(children), process.pid)
    has_one: cython.bint = next_child(cython.address(children)) > 0
    end_children(cython.address(children))
    return has_one


def is_shell(process):
    """Tell whether a process is a shell, which may stand between a launcher and its script."""
    return process_is_listed(process, slice_of(b"sh,dash,bash,ash,busybox"))


def is_init(process):
    """Tell whether a process is an init, which starts the application and reaps its orphans."""
    return process_is_listed(process, slice_of(b"docker-init,tini,dumb-init"))


def is_over(process):
    """Tell whether a process has ended."""
    return process.state == b"Z" or process.state == b"X"


def find_child(child, parent, names):
    """Find the child that has one of the names, or else the oldest that may be it or lead to it: a
    shell, or one that hides its name. What has ended does not count.
    """
    children: Children
    candidate: Process
    found: cython.bint = False
    looked_at: cython.int = 0
    begin_children(cython.address(children), parent)
    while looked_at < CHILDREN_BOUND:
        pid: cython.long = next_child(cython.address(children))
        if pid <= 0:
            break
        looked_at += 1
        read_process(cython.address(candidate), pid, names)
        if candidate.state == 0 or is_over(cython.address(candidate)):
            continue
        if candidate.listed:
            child[0] = candidate
            found = True
            break
        if not found and (candidate.renamed or is_shell(cython.address(candidate))):
            child[0] = candidate
            found = True
    end_children(cython.address(children))
    return found


def read_process(process, pid, names):
    """Read what /proc shows of one process, and whether it has one of the names."""
    process.pid = pid
    process.state = 0
    process.threads = 0
    process.command_length = 0
    process.program_length = 0
    read_stat(process)
    may_be_title: cython.bint = read_program(process)
    process.listed = process_is_listed(process, names)
    process.renamed = may_be_title and not process.listed


def read_stat(process):
    """Read name, state and threads. The name may hold blanks and parentheses: the last one ends it.

    Source: proc(5), /proc/PID/stat.
    """
    buffer: cython.char[STAT_BOUND]
    rest: Slice
    got: cython.Py_ssize_t = read_entry(process.pid, b"/stat", buffer, STAT_BOUND)
    rest.start = buffer
    rest.length = got if got > 0 else 0
    opening: cython.size_t = slice_find(rest, b"(")
    closing: cython.size_t = rest.length
    while closing > opening and buffer[closing - 1] != b")":
        closing -= 1
    if closing <= opening:
        return
    command: Slice = slice_from(slice_until(rest, closing - 1), opening + 1)
    process.command_length = keep_name(process.command, command)
    rest = slice_from(rest, closing)
    state: Slice = slice_word(cython.address(rest))
    if state.length == 0:
        return
    process.state = state.start[0]
    skipped: cython.int
    for skipped in range(FIELDS_TO_THREADS - 1):
        slice_word(cython.address(rest))
    process.threads = slice_number(slice_word(cython.address(rest)), LARGEST_PID)


def read_program(process):
    """Read the program's name from its first argument, and whether a title hides it.

    A thread may name itself, which leaves the arguments as they are. process.title overwrites both,
    and what is left reads as a program without arguments.
    """
    buffer: cython.char[ARGUMENT_BOUND]
    argument: Slice
    got: cython.Py_ssize_t = read_entry(process.pid, b"/cmdline", buffer, ARGUMENT_BOUND)
    argument.start = buffer
    argument.length = got if got > 0 else 0
    length: cython.size_t = slice_find(argument, 0)
    second: Slice = slice_from(argument, length + 1)
    argument = slice_until(argument, length)
    may_be_title: cython.bint = slice_find(second, 0) == 0 and slice_equals(
        slice_until(argument, process.command_length), command_of(process)
    )
    slash: cython.size_t = slice_find(argument, b"/")
    while slash < argument.length:
        argument = slice_from(argument, slash + 1)
        slash = slice_find(argument, b"/")
    process.program_length = keep_name(process.program, argument)
    return may_be_title


def begin_children(children, pid):
    """Open the list of a process's children; one that cannot be opened is empty.

    Source: proc(5), /proc/PID/task/TID/children; the process has one thread.
    """
    path: Text
    path.length = 0
    write_part(cython.address(path), b"/proc/", pid)
    write_part(cython.address(path), b"/task/", pid)
    text_add(cython.address(path), b"/children")
    text_byte(cython.address(path), 0)
    children.fd = open(path.bytes, O_RDONLY | O_CLOEXEC)
    children.at = 0
    children.length = 0


def next_child(children):
    """Read the next pid; 0 at the end."""
    pid: cython.long = 0
    while next_byte(children):
        byte: cython.char = children.bytes[children.at - 1]
        if b"0" <= byte <= b"9" and pid <= LARGEST_PID:
            pid = pid * 10 + (byte - ZERO)
        elif pid > 0:
            break
    return pid


def next_byte(children):
    """Step to the next byte of the list, and read on where need be; False at its end."""
    if children.at == children.length:
        if children.fd < 0:
            return False
        got: cython.Py_ssize_t = read(children.fd, children.bytes, CHILDREN_BUFFER)
        if got <= 0:
            return False
        children.at = 0
        children.length = got
    children.at += 1
    return True


def end_children(children):
    """Close the list."""
    if children.fd >= 0:
        close(children.fd)


def read_entry(pid, entry, buffer, bound):
    """Read /proc/PID/ENTRY; -1 when it cannot be read."""
    path: Text
    path.length = 0
    write_part(cython.address(path), b"/proc/", pid)
    text_add(cython.address(path), entry)
    text_byte(cython.address(path), 0)
    return file_read(path.bytes, buffer, bound)


def write_part(path, folder, pid):
    """Append a folder and a pid in it."""
    text_add(path, folder)
    text_number(path, pid)


def keep_name(kept, name):
    """Keep a name's beginning, and say how long that is."""
    name = slice_until(name, COMMAND_BOUND)
    memcpy(kept, name.start, name.length)
    return name.length


def command_of(process):
    """See the name that the kernel keeps."""
    name: Slice
    name.start = process.command
    name.length = process.command_length
    return name


def program_of(process):
    """See the program's name."""
    name: Slice
    name.start = process.program
    name.length = process.program_length
    return name
