"""Adapters out: each shows the same reports to somebody else. They never import one another's
sources, and none of them may delay the watcher."""
