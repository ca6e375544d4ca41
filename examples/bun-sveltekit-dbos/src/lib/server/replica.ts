// One process, one replica: one bounded pool for the app, one DBOS executor. hooks.server.ts starts it
// once, before the first request.

import { readConfig, type Config } from "./config";
import { Database } from "./database";
import { executorId } from "./identity";
import { log } from "./log";
import { Telemetry } from "./telemetry";
import { Work } from "./work";

/** How long workflows that run at SIGTERM may take to their end. What is not done is recovered later. */
const FINISH_MS = 5_000;

export class Replica {
  readonly #draining = new AbortController();

  private constructor(
    readonly config: Config,
    readonly name: string,
    readonly database: Database,
    readonly work: Work,
    readonly telemetry: Telemetry,
  ) {}

  static async start(env: Record<string, string | undefined>): Promise<Replica> {
    const config = readConfig(env);
    const name = await executorId(env);
    const database = new Database(config, name);
    const telemetry = new Telemetry(env, { name, version: config.appVersion, runtime }, database.pool);
    const replica = new Replica(config, name, database, new Work(config, database, telemetry, name), telemetry);
    log.info("starting", { replica: name, version: config.appVersion, pid: process.pid, runtime });
    void replica.work.start(replica.#draining.signal);
    return replica;
  }

  /** Why this replica should get no traffic, or undefined when it should. */
  async notReady(): Promise<string | undefined> {
    if (this.#draining.signal.aborted) return "stopping";
    const fault = await this.database.fault(this.config.readyTimeoutMs);
    if (fault !== undefined) return `database: ${fault}`;
    return this.work.started ? undefined : "dbos: not started yet";
  }

  /** From now on not ready, while requests are still answered: the router moves on meanwhile. */
  drain(): void {
    this.#draining.abort();
  }

  /** After the last request: work, then what work needs. */
  async stop(): Promise<void> {
    this.drain();
    await this.work.stop(FINISH_MS);
    await this.database.close();
    await this.telemetry.stop();
    log.info("stopped");
  }
}

/** Such as `bun 1.4.4`: what the page's foot and the telemetry say. */
export const runtime = process.versions.bun ? `bun ${process.versions.bun}` : `node ${process.versions.node}`;
