# Opening sockets that never block, to addresses of every family that the probe speaks.

from hosts cimport Address
from text cimport Slice

# Each returns a connected or connecting socket, or minus the error number.
cdef extern int connect_tcp(Address *address, int port) noexcept nogil
cdef extern int connect_udp(Address *address, int port) noexcept nogil
cdef extern int connect_unix(Slice path) noexcept nogil

cdef extern int connection_fault(int fd) noexcept nogil
cdef extern bint connection_is_to_itself(int fd) noexcept nogil

cdef int connect_address(Address *address, int port, int kind) noexcept nogil
cdef int open_socket(int family, int kind) noexcept nogil
cdef int begin_connection(int fd, const void *address, unsigned int size) noexcept nogil
