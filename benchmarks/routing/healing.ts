// A replica that needs its database to be ready, and nothing to be alive.

import { SQL } from "bun";

const sql = new SQL(process.env.DATABASE_URL!, { max: 1, connectionTimeout: 1 });
const late = () => new Promise((_, no) => setTimeout(() => no(new Error("late")), 1000));

Bun.serve({
  port: 3000,
  hostname: "0.0.0.0",
  routes: {
    "/livez": () => new Response("ok\n"),
    "/readyz": async () => {
      try {
        await Promise.race([sql`SELECT 1`, late()]);
        return new Response("ok\n");
      } catch (error) {
        return new Response(`${error}\n`, { status: 503 });
      }
    },
  },
});

process.once("SIGTERM", () => process.exit(0));
