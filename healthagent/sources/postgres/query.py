"""The one query of a round, and its row as facts."""

from __future__ import annotations

from psycopg.rows import DictRow

from healthagent.core.observation import (
    Address,
    Backend,
    Database,
    PendingWorkflows,
    ServerLimits,
    Unseen,
)
from healthagent.core.target import DatabaseRef

# pg_stat_activity's rows as Backend takes them. Without pg_monitor the rows of other roles keep
# pid, role, database and application_name; what type they are is hidden too, but background workers
# have no role or no database. DBOS Transact for TypeScript 5.3 leaves `LISTEN dbos_streams_channel`
# as the last query of one connection per process, and each second takes workflows from its queues
# and looks for schedules: by that it is known in a pool that bears no name.
BACKENDS = r"""
SELECT pid,
       coalesce(usename, '') AS role,
       coalesce(datname, '') AS database,
       coalesce(application_name, '') AS application,
       host(client_addr) AS client_address,
       client_port,
       backend_type IS NOT NULL AS visible,
       coalesce(state, '') AS state,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS idle_for,
       extract(epoch FROM clock_timestamp() - backend_start)::float8 AS age,
       coalesce(starts_with(query, 'LISTEN dbos_streams_channel'), false) AS listens_dbos,
       CASE WHEN NOT starts_with(application_name, 'dbos_transact_')
                 AND (query ~ '^UPDATE .*workflow_status\s+SET status = \$1'
                      OR query ~ '^SELECT .*FROM .*workflow_schedules')
            THEN extract(epoch FROM clock_timestamp() - state_change)::float8
       END AS asked_dbos
FROM pg_stat_activity
WHERE backend_type = 'client backend'
   OR backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL
"""

# reserved_connections came with PostgreSQL 16. A limit of -1 is none, and none binds a superuser.
LIMITS = """
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS superuser_reserved,
       coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       coalesce((SELECT json_object_agg(rolname, rolconnlimit)
                 FROM pg_roles WHERE rolconnlimit >= 0 AND NOT rolsuper), '{}') AS role_limits,
       coalesce((SELECT json_object_agg(datname, datconnlimit)
                 FROM pg_database WHERE datconnlimit >= 0), '{}') AS database_limits
"""

# Where DBOS keeps its workflows, if in this database: its schema may have any name
# (systemDatabaseSchemaName), and the app a table of that name, with other columns. Both names are
# looked up by an index, so it costs nothing.
WORKFLOW_TABLES = """
SELECT n.nspname AS schema,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = 'workflow_status' AND c.relkind = 'r'
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'executor_id')
"""

# Whether the server, or the database, has each session begin read-only. The agent's role may have
# been given that for itself alone. See READ_ONLY in connection.py.
READ_ONLY = """
SELECT reset_val = 'on' AND NOT EXISTS (
         SELECT FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
         WHERE r.rolname = session_user
           AND array_to_string(s.setconfig, ' ') LIKE '%default_transaction_read_only=%')
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""

# ``server`` is the microsecond in which the server was started: no two have the same, a standby and
# its primary included, and anybody may ask for it.
QUERY = f"""
SELECT pg_backend_pid() AS agent_pid,
       current_user AS agent_role,
       pg_is_in_recovery() AS in_recovery,
       ({READ_ONLY}) AS read_only,
       extract(epoch FROM pg_postmaster_start_time())::text AS server,
       (SELECT to_json(l) FROM ({LIMITS}) AS l) AS limits,
       (SELECT coalesce(json_agg(b), '[]') FROM ({BACKENDS}) AS b) AS backends,
       (SELECT coalesce(json_agg(t), '[]') FROM ({WORKFLOW_TABLES}) AS t) AS workflow_tables
"""  # noqa: S608 - made of constants


Pending = tuple[PendingWorkflows, ...] | Unseen


def read(
    row: DictRow, ref: DatabaseRef, elapsed: float, pending: Pending, also: frozenset[Address]
) -> Database:
    """What the row of :data:`QUERY` says. Its columns and keys are the facts' own field names."""
    return Database(
        ref=ref,
        elapsed=elapsed,
        agent_pid=row["agent_pid"],
        agent_role=row["agent_role"],
        limits=ServerLimits(**row["limits"]),
        backends=tuple(Backend(**backend) for backend in row["backends"]),
        in_recovery=row["in_recovery"],
        read_only=row["read_only"],
        pending=pending,
        also=also,
    )
