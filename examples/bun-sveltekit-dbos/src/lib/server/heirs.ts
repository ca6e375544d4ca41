// Who goes on with the work of a replica that does not come back. DBOS recovers a replica's workflows
// when that replica starts again, under its old id; that covers every crash and recreation. But a
// service that is scaled down leaves the ids of the last ones to nobody, and where a container in the
// middle was removed by hand, Compose gives the next one a new number. So each replica looks, now and
// then, for workflows whose executor has been gone for a while, and puts them back into the queue.
//
// An executor lives while DBOS's connections, which carry its name, stand in Postgres. One that only
// lost them for so long may still be at work: then a step runs twice, and takes effect once as always.

import { DBOS } from "@dbos-inc/dbos-sdk";
import type { Pool } from "pg";

import { log } from "./log";

const LOOK_MS = 2_000;
/** Any number, as long as nothing else in this database locks with it. */
const LOCK = 2_718_281;

export class Heirs {
  /** By executor when it was first seen to be gone. */
  readonly #gone = new Map<string, number>();

  constructor(
    readonly pool: Pool,
    readonly queue: string,
    readonly version: string,
    readonly afterMs: number,
  ) {}

  start(signal: AbortSignal): void {
    const timer = setInterval(() => {
      this.#look().catch((error: Error) => {
        this.#gone.clear(); // whoever cannot look does not know how long others have been gone
        if (!signal.aborted) log.warn("cannot look for work left behind", { error: error.message });
      });
    }, LOOK_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  async #look(): Promise<void> {
    const held = await this.#held();
    const now = performance.now();
    const gone = [...(await this.#dead(new Set(held.values())))];
    for (const executor of this.#gone.keys()) if (!gone.includes(executor)) this.#gone.delete(executor);
    for (const executor of gone) if (!this.#gone.has(executor)) this.#gone.set(executor, now);
    const lost = gone.filter((executor) => now - this.#gone.get(executor)! >= this.afterMs);
    if (lost.length > 0) await this.#inherit(new Set(lost));
  }

  /** One replica at a time, and by a fresh look: what another has put back is no longer held. */
  async #inherit(lost: Set<string>): Promise<void> {
    const client = await this.pool.connect();
    try {
      const { rows } = await client.query("SELECT pg_try_advisory_lock($1) AS mine", [LOCK]);
      if (!rows[0].mine) return;
      try {
        const held = await this.#held();
        const ids = [...held].filter(([, executor]) => lost.has(executor)).map(([id]) => id);
        if (ids.length === 0) return;
        await DBOS.resumeWorkflows(ids, { queueName: this.queue });
        log.warn("took over work left behind", { executors: [...lost], orders: ids });
      } finally {
        await client.query("SELECT pg_advisory_unlock($1)", [LOCK]);
      }
    } finally {
      client.release();
    }
  }

  /** By workflow the executor that has begun it. */
  async #held(): Promise<Map<string, string>> {
    const workflows = await DBOS.listWorkflows({
      status: "PENDING",
      queueName: this.queue,
      applicationVersion: this.version,
      loadInput: false,
      loadOutput: false,
    });
    return new Map(workflows.map(({ workflowID, executorId }) => [workflowID, executorId ?? ""]));
  }

  async #dead(executors: Set<string>): Promise<Set<string>> {
    executors.delete(DBOS.executorID);
    if (executors.size === 0) return executors;
    // A role sees the names of its own sessions; Postgres cuts them at 63 bytes.
    const { rows } = await this.pool.query<{ executor: string }>(
      `SELECT executor FROM unnest($1::text[]) AS executor WHERE NOT EXISTS (
         SELECT FROM pg_stat_activity WHERE usename = current_user
         AND application_name = left(format('dbos_transact_%s_%s', executor, $2::text), 63))`,
      [[...executors], this.version],
    );
    return new Set(rows.map(({ executor }) => executor));
  }
}
