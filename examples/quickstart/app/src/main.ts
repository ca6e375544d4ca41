// One process, one replica: an HTTP server, one bounded pool for the app, one DBOS executor.

import { DBOS } from "@dbos-inc/dbos-sdk";

import { readConfig, type Config } from "./config";
import { databaseFault, openPool } from "./database";
import { within } from "./deadline";
import { executorId } from "./identity";
import { configureDbos, launchDbos, registerOrder } from "./jobs";
import { log } from "./log";

/** Docker kills 10 s after SIGTERM unless `stop_grace_period` says more; be done before. */
const SHUTDOWN_LIMIT_MS = 8_000;
/** Longer than Traefik keeps a connection that nobody uses (90 s): were the app to close it first, a
 * request could just be on its way down it. Bun's own default is 10. */
const IDLE_S = 120;

// Without a handler Bun as PID 1 ignores SIGTERM and is killed when the grace period is over. Until the
// server listens there is nothing to end but the process.
let stop = async (_: NodeJS.Signals): Promise<void> => process.exit(0);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop(signal));

const config = configOrExit();
const replica = await executorId(process.env);
const pool = openPool(config, replica);
const processOrder = registerOrder(pool);
configureDbos(config, replica);

const stopping = new AbortController();

/** Why this replica should get no traffic, or undefined when it should. */
async function notReady(): Promise<string | undefined> {
  if (stopping.signal.aborted) return "stopping";
  const fault = await databaseFault(pool, config.readyTimeoutMs);
  if (fault !== undefined) return `database: ${fault}`;
  return DBOS.isInitialized() ? undefined : "dbos: not started yet";
}

const server = Bun.serve({
  hostname: config.host,
  port: config.port,
  idleTimeout: IDLE_S,
  routes: {
    "/": () => Response.json({ replica, version: config.appVersion, pid: process.pid }),

    // Liveness: that this handler runs is the answer. It asks nothing beyond the process.
    "/livez": () => new Response("ok\n"),

    "/readyz": async () => {
      const reason = await notReady();
      return reason === undefined
        ? new Response("ok\n")
        : new Response(`${reason}\n`, { status: 503 });
    },

    // A slow page, to see that a drain waits for it.
    "/wait/:ms": async (request) => {
      await Bun.sleep(Math.min(Number(request.params.ms) || 0, 9_000));
      return new Response("ok\n");
    },

    "/jobs": {
      POST: async () => {
        if (!DBOS.isInitialized()) return problem(503, "dbos: not started yet");
        const id = crypto.randomUUID();
        const started = DBOS.startWorkflow(processOrder, { workflowID: id })(id);
        try {
          await within(config.readyTimeoutMs, started);
        } catch (error) {
          // DBOS goes on trying while the database is away, so the job may still come to be.
          return problem(503, (error as Error).message, { id });
        }
        return Response.json({ id }, { status: 202, headers: { Location: `/jobs/${id}` } });
      },
    },

    "/jobs/:id": async (request) => {
      if (!DBOS.isInitialized()) return problem(503, "dbos: not started yet");
      try {
        const job = await within(config.readyTimeoutMs, DBOS.getWorkflowStatus(request.params.id));
        if (job === null) return problem(404, "no such job");
        return Response.json({ id: job.workflowID, status: job.status, executor: job.executorId });
      } catch (error) {
        return problem(503, (error as Error).message);
      }
    },
  },
  fetch: () => problem(404, "no such page"),
});
log.info("listening", { url: server.url.href, replica, version: config.appVersion, pid: process.pid });
void launchDbos(pool, config.databaseUrl, stopping.signal);

stop = async (signal) => {
  log.info("stopping", { signal });
  const limitMs = config.drainMs + SHUTDOWN_LIMIT_MS;
  setTimeout(() => {
    log.error("did not end in time", { limitMs });
    process.exit(1);
  }, limitMs).unref();
  stopping.abort();
  await Bun.sleep(config.drainMs); // still serving, no longer ready: the router moves on meanwhile
  await server.stop();
  await DBOS.shutdown({ workflowCompletionTimeoutMS: 3_000 });
  await pool.end();
  log.info("stopped");
  process.exit(0);
};

function configOrExit(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    log.error("cannot start", { error: (error as Error).message });
    process.exit(1);
  }
}

function problem(status: number, detail: string, more: Record<string, unknown> = {}): Response {
  const headers = { "Content-Type": "application/problem+json" };
  return Response.json({ status, detail, ...more }, { status, headers });
}
