// Prisma over an explicit pg.Pool. Each bound is stated, and set by a variable: pg's defaults are 10
// connections and waiting for ever for a free one.

import { PrismaPg } from "@prisma/adapter-pg";
import { Pool, type QueryConfig } from "pg";

import type { Config, PoolTimeouts } from "./config";
import { within } from "./deadline";
import { log } from "./log";
import { PrismaClient, type Prisma } from "./prisma-client/client";

export type Transaction = Prisma.TransactionClient;

export class Database {
  readonly pool: Pool;
  readonly #prisma: PrismaClient;
  readonly #timeouts: PoolTimeouts;

  constructor(config: Config, executor: string) {
    this.#timeouts = config.prismaPool;
    const { connectMs, idleMs, statementMs } = this.#timeouts;
    this.pool = new Pool({
      connectionString: config.databaseUrl,
      application_name: config.applicationName ?? `prisma_${executor}`,
      max: config.prismaPoolMax,
      connectionTimeoutMillis: connectMs,
      idleTimeoutMillis: idleMs,
      statement_timeout: statementMs,
      idle_in_transaction_session_timeout: statementMs,
      keepAlive: true,
    });
    // An idle connection that Postgres closes is reported here. With no listener it would end the
    // process, and a restart of the database would restart every replica. The pool dials anew.
    this.pool.on("error", (error) => log.warn("lost an idle database connection", { error: error.message }));
    // One that is held between two queries reports it itself; the next query on it fails.
    this.pool.on("connect", (client) => client.on("error", () => undefined));
    this.#prisma = new PrismaClient({ adapter: new PrismaPg(this.pool) });
  }

  /**
   * Runs `work` in a transaction that may see and write the rows of one shop alone. The setting ends
   * with the transaction, so the connection goes back to the pool without it.
   */
  as<T>(shop: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#prisma.$transaction(
      async (tx) => {
        await tx.$executeRaw`SELECT set_config('app.tenant', ${shop}, true)`;
        return work(tx);
      },
      { maxWait: this.#timeouts.connectMs, timeout: this.#timeouts.statementMs },
    );
  }

  /**
   * Asks Postgres through the app's pool, so that a pool with nothing free is seen too. Resolves to
   * undefined when it answered, else to a reason: a code, never an address or SQL, since the public
   * router reaches /readyz as well.
   */
  async fault(timeoutMs: number): Promise<string | undefined> {
    try {
      // The second bound ends the query itself, which would otherwise keep its connection busy.
      const answer = this.pool.query({ text: "SELECT 1", query_timeout: timeoutMs } as QueryConfig);
      await within(timeoutMs, answer);
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code || (error as Error).message;
    }
  }

  async close(): Promise<void> {
    await this.#prisma.$disconnect();
    await this.pool.end();
  }
}
