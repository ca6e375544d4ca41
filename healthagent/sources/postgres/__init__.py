"""What a database server tells the agent: one connection per database, however many replicas.

All targets of a database share one round of one query per interval. The connection is kept between
rounds, and a round that finds it lost dials once more, so that a session which somebody ended is
not taken for a server that is down. The role that the agent needs: ``docs/postgres-role.md``.
"""

from healthagent.sources.postgres.detail import SessionDetail
from healthagent.sources.postgres.source import PostgresSource

__all__ = ["PostgresSource", "SessionDetail"]
