"""Opening sockets that never block, to addresses of every family that the probe speaks."""

import cython
from cython.cimports.hosts import IPV4_SIZE, IPV6_SIZE
from cython.cimports.system import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    EINPROGRESS,
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    close,
    connect,
    errno,
    getpeername,
    getsockname,
    getsockopt,
    htons,
    memcmp,
    memcpy,
    memset,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_un,
    socket,
)


def connect_tcp(address, port):
    """Begin a TCP connection."""
    return connect_address(address, port, SOCK_STREAM)


def connect_udp(address, port):
    """Open a UDP socket that hears this one peer only."""
    return connect_address(address, port, SOCK_DGRAM)


def connect_address(address, port, kind):
    """Open a socket of one kind to an IPv4 or IPv6 address."""
    fd: cython.int = open_socket(address.family, kind)
    if fd < 0:
        return fd
    if address.family == AF_INET:
        ipv4: sockaddr_in
        memset(cython.address(ipv4), 0, cython.sizeof(ipv4))
        ipv4.sin_family = AF_INET
        ipv4.sin_port = htons(port)
        memcpy(cython.address(ipv4.sin_addr), address.bytes, IPV4_SIZE)
        return begin_connection(fd, cython.address(ipv4), cython.sizeof(ipv4))
    ipv6: sockaddr_in6
    memset(cython.address(ipv6), 0, cython.sizeof(ipv6))
    ipv6.sin6_family = AF_INET6
    ipv6.sin6_port = htons(port)
    memcpy(cython.address(ipv6.sin6_addr), address.bytes, IPV6_SIZE)
    return begin_connection(fd, cython.address(ipv6), cython.sizeof(ipv6))


def connect_unix(path):
    """Connect to a unix socket; `url` has checked that its path fits."""
    fd: cython.int = open_socket(AF_UNIX, SOCK_STREAM)
    if fd < 0:
        return fd
    name: sockaddr_un
    memset(cython.address(name), 0, cython.sizeof(name))
    name.sun_family = AF_UNIX
    memcpy(name.sun_path, path.start, path.length)
    return begin_connection(fd, cython.address(name), cython.sizeof(name))


def open_socket(family, kind):
    """Open a socket that neither blocks nor survives an exec."""
    fd: cython.int = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    return fd if fd >= 0 else -errno


def begin_connection(fd, address, size):
    """Connect, or leave it to the kernel to go on; on failure the socket is closed."""
    if connect(fd, cython.cast(cython.pointer(cython.const[sockaddr]), address), size) == 0:
        return fd
    fault: cython.int = errno
    if fault == EINPROGRESS:
        return fd
    close(fd)
    return -fault


def connection_fault(fd):
    """Tell how a connection came out: 0, or an error number."""
    fault: cython.int = 0
    size: cython.uint = cython.sizeof(fault)
    if getsockopt(fd, SOL_SOCKET, SO_ERROR, cython.address(fault), cython.address(size)) < 0:
        return errno
    return fault


def connection_is_to_itself(fd):
    """Tell whether the kernel gave the connection the very port that it goes to.

    A port from which connections go out may be asked for before anybody listens there: TCP then
    takes the two ends of one socket for peers. Source: RFC 9293, section 3.5, simultaneous open.
    """
    ends: sockaddr_in6[2]
    size: cython.uint = cython.sizeof(sockaddr_in6)
    own: cython.pointer(sockaddr) = cython.cast(cython.pointer(sockaddr), ends)
    peer: cython.pointer(sockaddr) = cython.cast(cython.pointer(sockaddr), ends + 1)
    memset(ends, 0, cython.sizeof(ends))
    getsockname(fd, own, cython.address(size))
    getpeername(fd, peer, cython.address(size))
    return memcmp(own, peer, size) == 0
