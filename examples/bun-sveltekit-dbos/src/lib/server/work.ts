// An order's work as one durable workflow on a queue. Each step's end is recorded in Postgres: what a
// replica leaves undone goes on from its last step, once a process with its executor id is back.

import { DBOS } from "@dbos-inc/dbos-sdk";
import { setTimeout as sleep } from "node:timers/promises";

import type { Config } from "./config";
import type { Database } from "./database";
import { Heirs } from "./heirs";
import { log } from "./log";
import { effect, noteAttempt, STEPS } from "./orders";
import type { Telemetry } from "./telemetry";

const QUEUE = "orders";
/** Where Postgres cuts an application_name (NAMEDATALEN - 1). */
const LONGEST_NAME = 63;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 2_000;
const POLL_MS = 200;
/** How often DBOS looks whether it has a stream or an event to tell others of; there are none. Its own
 * 10 ms take a third of what it takes at rest (seen with 5.3.0). */
const NOTIFY_MS = 1_000;

export class Work {
  readonly #config: Config;
  readonly #heirs: Heirs;
  readonly #fulfil: (shop: string, orderId: string) => Promise<void>;

  /** Registers the workflow. DBOS wants that once per process, before it is launched. */
  constructor(config: Config, database: Database, telemetry: Telemetry, executor: string) {
    this.#config = config;
    this.#heirs = new Heirs(database.pool, QUEUE, config.appVersion, config.orphanedMs);
    const { workMs } = config;

    async function fulfil(shop: string, orderId: string): Promise<void> {
      for (const [step] of STEPS) {
        const run = async () => {
          await database.as(shop, (tx) => noteAttempt(tx, shop, orderId, step, executor));
          await sleep(workMs);
          await database.as(shop, (tx) => effect(tx, shop, orderId, step, executor));
          await sleep(workMs);
          telemetry.step(step);
        };
        await DBOS.runStep(run, { name: step, retriesAllowed: true, maxAttempts: 8, intervalSeconds: 0.5 });
      }
    }
    this.#fulfil = DBOS.registerWorkflow(fulfil, { name: "fulfil" });

    // DBOS names its connections so. Cut, the names of several replicas may become one.
    const name = `dbos_transact_${executor}_${config.appVersion}`;
    if (Buffer.byteLength(name) > LONGEST_NAME) {
      log.warn("Postgres will cut the executor's name; choose a shorter project name or DBOS__VMID", { name });
    }
    DBOS.setConfig({
      name: "order-desk",
      systemDatabaseUrl: config.databaseUrl,
      systemDatabasePoolSize: config.dbosPoolMax,
      maxConcurrentQueueDispatches: 1,
      notificationCoalesceMs: NOTIFY_MS,
      executorID: executor,
      applicationVersion: config.appVersion,
      runMigrations: false, // the service `migrate` does it; this role may not
      tracingEnabled: telemetry.tracing, // spans of workflows and steps, to telemetry.ts's provider
      otelAttributeFormat: "semconv",
      logger: {
        debug: () => undefined,
        info: () => undefined,
        warn: (entry) => log.warn(String(entry), { source: "dbos" }),
        error: (entry) => log.error(String(entry), { source: "dbos" }),
      },
    });
  }

  get started(): boolean {
    return DBOS.isInitialized();
  }

  /**
   * Launches DBOS, trying again with growing pauses until it succeeds or `signal` ends it. A database
   * that is away or not migrated yet is no reason to exit: the replica lives, says so in /readyz, and a
   * crash loop would only add noise to the real fault.
   */
  async start(signal: AbortSignal): Promise<void> {
    for (let pause = FIRST_RETRY_MS; !signal.aborted; pause = Math.min(2 * pause, LAST_RETRY_MS)) {
      try {
        await DBOS.launch();
        await DBOS.registerQueue(QUEUE, { workerConcurrency: this.#config.workers, minPollingIntervalMs: POLL_MS });
        this.#heirs.start(signal);
        log.info("DBOS started", { executor: DBOS.executorID, version: DBOS.applicationVersion });
        return;
      } catch (error) {
        log.warn("DBOS did not start", { error: (error as Error).message, retryMs: pause });
        // What a half-done launch holds would make the next one believe that it is done.
        await DBOS.shutdown().catch(() => undefined);
        await sleep(pause);
      }
    }
  }

  /** Queues an order's work; the same order again is the same workflow. */
  async enqueue(shop: string, orderId: string): Promise<void> {
    await DBOS.startWorkflow(this.#fulfil, { workflowID: orderId, queueName: QUEUE })(shop, orderId);
  }

  /** Takes no more from the queue, lets what runs come to its end for a while, and disconnects. */
  async stop(finishMs: number): Promise<void> {
    await DBOS.shutdown({ workflowCompletionTimeoutMS: finishMs });
  }
}
