"""Adapters out: each shows the same reports to somebody else. They know no source, and none of them
may delay the watcher."""
