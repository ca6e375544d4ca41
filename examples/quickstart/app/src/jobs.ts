// One durable workflow: reserve, wait, confirm. Each step's result is kept in Postgres: what a replica
// leaves undone goes on from its last step, once a process with that replica's executor id is back.

import { DBOS } from "@dbos-inc/dbos-sdk";
import type { Pool } from "pg";

import type { Config } from "./config";
import { log } from "./log";

const PAUSE_MS = 2_000;
/** Any number, as long as nothing else in this database locks with it. */
const MIGRATION_LOCK = 3_141_592;
/** Where Postgres cuts an application_name (NAMEDATALEN - 1). */
const LONGEST_NAME = 63;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 2_000;
/** How often DBOS looks whether it has a stream or an event to tell others of; there are none. Its own
 * 10 ms take a third of what it takes at rest (seen with 5.3.0). */
const NOTIFY_MS = 1_000;

/** Registers the workflow. DBOS wants that once per process, before it is launched. */
export function registerOrder(pool: Pool) {
  // A step may run twice (its process can die before the result is kept), so each may be repeated.
  const reserve = (order: string) =>
    pool.query("INSERT INTO orders (id, state) VALUES ($1, 'reserved') ON CONFLICT (id) DO NOTHING", [order]);
  const confirm = (order: string) =>
    pool.query("UPDATE orders SET state = 'confirmed' WHERE id = $1", [order]);

  const retried = { retriesAllowed: true, maxAttempts: 5 };
  async function processOrder(order: string): Promise<string> {
    await DBOS.runStep(async () => void (await reserve(order)), { name: "reserve", ...retried });
    await DBOS.sleep(PAUSE_MS);
    await DBOS.runStep(async () => void (await confirm(order)), { name: "confirm", ...retried });
    return `${order} confirmed`;
  }
  return DBOS.registerWorkflow(processOrder, { name: "processOrder" });
}

export function configureDbos(config: Config, executor: string): void {
  // DBOS names its connections so. Cut, the names of several replicas may become one.
  const name = `dbos_transact_${executor}_${config.appVersion}`;
  if (Buffer.byteLength(name) > LONGEST_NAME) {
    log.warn("Postgres will cut the executor's name; choose a shorter project name or DBOS__VMID", { name });
  }
  DBOS.setConfig({
    name: "quickstart",
    systemDatabaseUrl: config.databaseUrl,
    systemDatabasePoolSize: config.dbosPoolMax,
    notificationCoalesceMs: NOTIFY_MS,
    executorID: executor,
    applicationVersion: config.appVersion,
    runMigrations: false, // launchDbos() does it, one replica at a time
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (entry) => log.warn(String(entry), { source: "dbos" }),
      error: (entry) => log.error(String(entry), { source: "dbos" }),
    },
  });
}

/**
 * Brings DBOS's tables up to date, one replica at a time: replicas that meet an empty database
 * together fail each other's migrations (seen with 5.3.0: "deadlock detected", "tuple concurrently
 * updated"). It tries for the lock and never waits in it, since CREATE INDEX CONCURRENTLY, which
 * the migrations use, waits for every session that waits.
 */
async function migrate(pool: Pool, databaseUrl: string): Promise<void> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query("SELECT pg_try_advisory_lock($1) AS mine", [MIGRATION_LOCK]);
    if (!rows[0].mine) throw new Error("another replica is migrating the database");
    await DBOS.migrate(databaseUrl);
  } finally {
    client.release(true); // ends the session, and the lock with it
  }
}

/**
 * Launches DBOS, trying again with growing pauses until it succeeds or `signal` ends it. A database
 * that is away at the start is no reason to exit: the replica lives, says so in /readyz, and a crash
 * loop would only add noise to the real fault.
 */
export async function launchDbos(pool: Pool, databaseUrl: string, signal: AbortSignal): Promise<void> {
  for (let pause = FIRST_RETRY_MS; !signal.aborted; pause = Math.min(2 * pause, LAST_RETRY_MS)) {
    try {
      await migrate(pool, databaseUrl);
      await DBOS.launch();
      log.info("DBOS started", { executor: DBOS.executorID, version: DBOS.applicationVersion });
      return;
    } catch (error) {
      log.warn("DBOS did not start", { error: (error as Error).message, retryMs: pause });
      // What a half-done launch holds would make the next one believe that it is done.
      await DBOS.shutdown().catch(() => undefined);
      await Bun.sleep(pause);
    }
  }
}
