import { defineConfig } from "prisma/config";

// No datasource: generating the client needs no database, and database/*.sql makes the tables.
export default defineConfig({ schema: "prisma/schema.prisma" });
