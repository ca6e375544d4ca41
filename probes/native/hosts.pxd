# What the container's own files say about names: /etc/hosts and /etc/resolv.conf.

from text cimport Slice

cdef enum:
    ADDRESSES_BOUND = 8
    NAMESERVERS_BOUND = 3  # resolv.conf(5), MAXNS
    HOSTS_BOUND = 16384
    RESOLV_CONF_BOUND = 4096
    IPV4_SIZE = 4
    IPV6_SIZE = 16
    ADDRESS_TEXT_SIZE = 46  # the longest IPv6 address and its NUL

cdef struct Address:
    int family
    char bytes[16]  # in network order; the first four are used for IPv4

cdef struct Addresses:
    Address entries[ADDRESSES_BOUND]
    size_t count

cdef extern bint address_read(Slice written, int family, char *bytes) noexcept nogil
cdef extern void addresses_add(Addresses *list, int family, const char *bytes) noexcept nogil

# Both leave the list empty when the file is missing or says nothing.
cdef extern void hosts_find(Addresses *found, Slice name) noexcept nogil
cdef extern void nameservers_read(Addresses *found) noexcept nogil

cdef extern ssize_t file_read(const char *path, char *buffer, size_t bound) noexcept nogil

cdef void add_written(Addresses *list, Slice written) noexcept nogil
cdef bint line_names(Slice line, Slice name) noexcept nogil
