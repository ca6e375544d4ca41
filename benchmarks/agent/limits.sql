-- Runs behind initdb.sql, which bounds the app's role by the budget of three replicas.
ALTER ROLE app CONNECTION LIMIT 150;
