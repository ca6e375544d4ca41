"""The audit's edge: everything here opens a file or a connection, and judges nothing."""
