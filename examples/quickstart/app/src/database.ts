// The app's own pool: what a Prisma 7 app hands to its driver adapter (`new PrismaPg(pool)`).
// Each bound is stated: pg's defaults are 10 connections and waiting for ever for a free one.

import { Pool, type QueryConfig } from "pg";

import type { Config } from "./config";
import { within } from "./deadline";
import { log } from "./log";

export function openPool(config: Config, executor: string): Pool {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    application_name: `prisma_${executor}`,
    max: config.prismaPoolMax,
    connectionTimeoutMillis: config.readyTimeoutMs,
    idleTimeoutMillis: 10_000,
    query_timeout: 5_000,
    statement_timeout: 5_000,
    keepAlive: true,
  });
  // An idle connection that Postgres closes is reported here. With no listener it would end the
  // process, and a restart of the database would restart every replica. The pool dials anew.
  pool.on("error", (error) => log.warn("lost an idle database connection", { error: error.message }));
  // One that is held between two queries reports it itself; the next query on it fails.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/**
 * Asks the database through the app's pool, so that a pool with nothing free is seen too.
 * Resolves to undefined when it answered, else to a reason: a code, never an address or SQL, since
 * the public router reaches /readyz as well.
 */
export async function databaseFault(pool: Pool, timeoutMs: number): Promise<string | undefined> {
  try {
    // The second bound ends the query itself, which would otherwise keep its connection busy.
    const answer = pool.query({ text: "SELECT 1", query_timeout: timeoutMs } as QueryConfig);
    await within(timeoutMs, answer);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code || (error as Error).message;
  }
}
