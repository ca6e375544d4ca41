# What the probe calls of the operating system: libc (musl, linked statically) and the kernel's
# structures, as POSIX and the Linux manual pages describe them. Nothing of Python is here.

cdef extern from "<errno.h>" nogil:
    int errno
    enum:
        EACCES
        EADDRNOTAVAIL
        EAGAIN
        ECONNREFUSED
        ECONNRESET
        EHOSTUNREACH
        EINPROGRESS
        EINTR
        ENETDOWN
        ENETUNREACH
        ENOENT
        EPERM
        EPIPE
        ETIMEDOUT

cdef extern from "<fcntl.h>" nogil:
    enum:
        O_CLOEXEC
        O_RDONLY
    int open(const char *path, int flags)

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN
        POLLNVAL
        POLLOUT
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *entries, unsigned long count, int timeout_ms)

cdef extern from "<string.h>" nogil:
    int memcmp(const void *one, const void *other, size_t length)
    void *memcpy(void *target, const void *source, size_t length)
    void *memset(void *target, int byte, size_t length)
    size_t strlen(const char *string)

cdef extern from "<signal.h>" nogil:
    enum:
        SIGPIPE
        SIG_BLOCK
    ctypedef struct sigset_t:
        pass
    int sigemptyset(sigset_t *set)
    int sigaddset(sigset_t *set, int number)
    int sigprocmask(int how, const sigset_t *set, sigset_t *before)

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buffer, size_t length, unsigned int flags)

cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_MONOTONIC
    struct timespec:
        long tv_sec
        long tv_nsec

# The system call itself: libc's clock_gettime would bring in a reader of the vDSO, for nothing.
cdef extern from "<sys/syscall.h>" nogil:
    enum:
        SYS_clock_gettime

cdef extern from "<unistd.h>" nogil:
    char **environ
    int close(int fd)
    long syscall(long number, ...)
    ssize_t read(int fd, void *buffer, size_t length)
    ssize_t write(int fd, const void *buffer, size_t length)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *string, void *address)
    unsigned short htons(unsigned short number)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        unsigned int s_addr
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6
        AF_UNIX
        MSG_NOSIGNAL
        SOCK_CLOEXEC
        SOCK_DGRAM
        SOCK_NONBLOCK
        SOCK_STREAM
        SOL_SOCKET
        SO_ERROR
    struct sockaddr:
        pass
    int socket(int family, int kind, int protocol)
    int connect(int fd, const sockaddr *address, unsigned int length)
    int getpeername(int fd, sockaddr *address, unsigned int *length)
    int getsockname(int fd, sockaddr *address, unsigned int *length)
    int getsockopt(int fd, int level, int option, void *value, unsigned int *length)
    ssize_t recv(int fd, void *buffer, size_t length, int flags)
    ssize_t send(int fd, const void *buffer, size_t length, int flags)
