# PID 1 of the container, and the application below it, as /proc shows them.

from text cimport Slice, Text

cdef enum:
    COMMAND_BOUND = 64  # how much of a name is compared; the kernel itself keeps 15 bytes
    STAT_BOUND = 512
    ARGUMENT_BOUND = 512
    CHILDREN_BOUND = 1024  # how many are looked at; the oldest stand first
    CHILDREN_BUFFER = 256
    LAUNCHER_DEPTH = 5  # an init, bun run, sh -c, bun run, sh -c
    FIELDS_TO_THREADS = 17  # proc(5): between the state, field 3, and num_threads, field 20
    LARGEST_PID = 1 << 22

cdef enum Verdict:
    PROCESS_OK
    PROCESS_UNSEEN  # /proc does not show it, or not what it is: unknown, not failed
    PROCESS_FOREIGN  # PID 1 has none of the names, and is no init
    PROCESS_HALTED  # stopped, traced, zombie or dead
    PROCESS_CHILDLESS  # a launcher with no application below it

cdef struct Process:
    long pid
    char state  # as in /proc/PID/stat; 0 when it could not be read
    long threads
    char command[COMMAND_BOUND]  # the name that the kernel keeps
    size_t command_length
    char program[COMMAND_BOUND]  # the last part of its first argument
    size_t program_length
    bint listed  # it has one of the names
    bint renamed  # it has none, and may have given itself its name: nothing tells what it is

cdef struct Children:  # reads the list in parts, since it has no bound
    int fd
    char bytes[CHILDREN_BUFFER]
    size_t at
    size_t length

cdef struct Judgement:
    Verdict verdict
    Process first  # PID 1
    Process application  # PID 1 again, or what a launcher runs

cdef extern void process_judge(Judgement *judgement, Slice names) noexcept nogil
cdef bint process_is_listed(Process *process, Slice names) noexcept nogil
cdef extern Slice process_name(Process *process, Slice names) noexcept nogil

cdef bint is_launcher(Process *process) noexcept nogil
cdef bint is_init(Process *process) noexcept nogil
cdef bint is_shell(Process *process) noexcept nogil
cdef bint is_over(Process *process) noexcept nogil
cdef bint find_child(Process *child, long parent, Slice names) noexcept nogil
cdef void read_process(Process *process, long pid, Slice names) noexcept nogil
cdef void read_stat(Process *process) noexcept nogil
cdef bint read_program(Process *process) noexcept nogil
cdef void begin_children(Children *children, long pid) noexcept nogil
cdef void end_children(Children *children) noexcept nogil
cdef long next_child(Children *children) noexcept nogil
cdef bint next_byte(Children *children) noexcept nogil
cdef void write_part(Text *path, const char *folder, long pid) noexcept nogil
cdef ssize_t read_entry(long pid, const char *entry, char *buffer, size_t bound) noexcept nogil
cdef size_t keep_name(char *kept, Slice name) noexcept nogil
cdef extern Slice command_of(Process *process) noexcept nogil
cdef Slice program_of(Process *process) noexcept nogil
