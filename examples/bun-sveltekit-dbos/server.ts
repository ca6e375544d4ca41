// What `start` runs, under Bun as under Node: adapter-node's handler, served until SIGTERM and a little
// longer. The adapter's own entry (build/index.js) closes its socket at SIGTERM, while the router still
// sends requests; here the replica first stops being ready, and closes when nobody asks any more.

import type { EventEmitter } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** How long to serve on after SIGTERM: longer than the router needs to notice. */
const DRAIN_MS = Number(process.env.DRAIN_MS ?? 3_000);
/** What the last requests may take, before their connections are cut. */
const LAST_REQUESTS_MS = 3_000;
/** Longer than Traefik keeps a connection that nobody uses (90 s): were the app to close it first, an
 * order could just be on its way down it. The default is 5 s, under Bun as under Node. */
const IDLE_MS = 120_000;
/** All of it. Docker kills after stop_grace_period, which compose.yaml sets above this. */
const LIMIT_MS = DRAIN_MS + LAST_REQUESTS_MS + 7_000;

const log = (message: string, fields: Record<string, unknown>, level = "info") =>
  console.log(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));

// Bun as PID 1 ignores a SIGTERM that has no handler, and is killed when the grace period is over. Until
// the server listens there is nothing to end but the process.
let stop = async (_: NodeJS.Signals): Promise<void> => process.exit(0);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));

const { handler } = await import("./build/handler.js"); // which runs `init` of src/hooks.server.ts

/** The process, by which src/hooks.server.ts hears of what is to come. */
const events: EventEmitter = process;

let draining = false;
const server = http.createServer((request, response) => {
  // Whoever keeps a connection open is told to open the next one elsewhere.
  if (draining) response.setHeader("connection", "close");
  handler(request, response, () => void response.writeHead(404).end());
});
server.keepAliveTimeout = IDLE_MS;
server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "0.0.0.0", () =>
  log("listening", { address: server.address(), pid: process.pid }),
);

stop = async (signal) => {
  if (draining) return;
  draining = true;
  log("stopping", { signal, drainMs: DRAIN_MS });
  setTimeout(() => {
    log("did not end in time", { limitMs: LIMIT_MS }, "error");
    process.exit(1);
  }, LIMIT_MS).unref();
  events.emit("desk:drain");
  await sleep(DRAIN_MS);
  const cut = setTimeout(() => server.closeAllConnections(), LAST_REQUESTS_MS);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await closed;
  clearTimeout(cut);
  events.emit("sveltekit:shutdown", signal); // src/hooks.server.ts ends the rest, and the process
};
