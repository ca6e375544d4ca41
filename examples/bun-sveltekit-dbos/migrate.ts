// Brings DBOS's tables up to date, as a role that may, and lets the app's role use them. Run once per
// release, before the app. The app's own tables are in database/2-orders.sql.

import { DBOS } from "@dbos-inc/dbos-sdk";

const { MIGRATION_DATABASE_URL: url, APP_ROLE: applicationRole } = process.env;
if (!url || !applicationRole) throw new Error("MIGRATION_DATABASE_URL and APP_ROLE must be set");
await DBOS.migrate(url, { applicationRole });
process.exit(0);
