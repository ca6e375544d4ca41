-- Run once, by psql, as the superuser: two roles that know nothing of each other's password, and
-- what the app would otherwise get from its first migration.
\getenv app_password APP_PASSWORD
\set agent_password `cat "$HEALTHAGENT_POSTGRES_PASSWORD_FILE"`

-- The app. Its limit is the budget: 3 replicas and one more while a rollout replaces them,
-- each PRISMA_POOL_MAX 5 + DBOS_POOL_MAX 3.
CREATE ROLE app LOGIN PASSWORD :'app_password' CONNECTION LIMIT 32;
CREATE DATABASE quickstart OWNER app;

-- The agent. pg_monitor lets it see which connections each replica holds; it reads no table of the
-- app's. It holds one connection; the limit leaves room for redialling.
CREATE ROLE healthagent LOGIN PASSWORD :'agent_password' CONNECTION LIMIT 3 IN ROLE pg_monitor;

\connect quickstart
REVOKE ALL ON DATABASE quickstart FROM PUBLIC;
GRANT CONNECT ON DATABASE quickstart TO healthagent;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- DBOS's own schema, made here so that the agent may look for workflows that no live executor holds.
CREATE SCHEMA dbos AUTHORIZATION app;
GRANT USAGE ON SCHEMA dbos TO healthagent;
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA dbos GRANT SELECT ON TABLES TO healthagent;

SET ROLE app;
CREATE TABLE orders (
    id text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('reserved', 'confirmed'))
);
