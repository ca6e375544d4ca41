-- Run once, by psql, as the superuser. Three roles, each with no more than its work needs.
\getenv app_password APP_PASSWORD
\getenv owner_password OWNER_PASSWORD
\set agent_password `cat "$HEALTHAGENT_POSTGRES_PASSWORD_FILE"`

-- Who makes tables: the service `migrate`, for seconds, once per release.
CREATE ROLE desk_owner LOGIN PASSWORD :'owner_password' CONNECTION LIMIT 3;

-- The app. It owns no table and has no BYPASSRLS, so every row-level policy holds for it. Its limit is
-- the budget: 6 replicas and one more for a rollout, each PRISMA_POOL_MAX 5 + DBOS_POOL_MAX 3.
CREATE ROLE desk LOGIN PASSWORD :'app_password' NOSUPERUSER NOBYPASSRLS CONNECTION LIMIT 56;

-- The agent: pg_monitor shows it whose connections are whose; it reads none of the app's tables. It
-- holds one connection; the limit leaves room for redialling.
CREATE ROLE healthagent LOGIN PASSWORD :'agent_password' CONNECTION LIMIT 3 IN ROLE pg_monitor;

CREATE DATABASE desk OWNER desk_owner;
\connect desk
REVOKE ALL ON DATABASE desk FROM PUBLIC;
GRANT CONNECT ON DATABASE desk TO desk, healthagent;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- DBOS's own schema: `migrate` fills it and lets the app use it. The agent may look for workflows that
-- no live executor holds.
CREATE SCHEMA dbos AUTHORIZATION desk_owner;
GRANT USAGE ON SCHEMA dbos TO healthagent;
ALTER DEFAULT PRIVILEGES FOR ROLE desk_owner IN SCHEMA dbos GRANT SELECT ON TABLES TO healthagent;
