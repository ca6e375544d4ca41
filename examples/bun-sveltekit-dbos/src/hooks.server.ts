import { building } from "$app/env";
import type { Handle, HandleServerError, ServerInit } from "@sveltejs/kit/hooks";

import { log } from "#lib/server/log.ts";
import { Replica } from "#lib/server/replica.ts";

let replica: Replica;

/** Runs once, before the server listens. */
export const init: ServerInit = async () => {
  if (building) return;
  try {
    replica = await Replica.start(process.env);
  } catch (error) {
    log.error("cannot start", { error: (error as Error).message });
    process.exit(1);
  }
  // server.js tells when: first to be not ready, later, after the last request, to end.
  const events: NodeJS.EventEmitter = process;
  events.once("desk:drain", () => replica.drain());
  events.once("sveltekit:shutdown", async () => {
    await replica.stop();
    process.exit(0);
  });
};

export const handle: Handle = async ({ event, resolve }) => {
  const begun = performance.now();
  event.locals.replica = replica;
  const response = await resolve(event);
  response.headers.set("x-replica", replica.name);
  const seconds = (performance.now() - begun) / 1000;
  replica.telemetry.request(event.route.id ?? "none", event.request.method, response.status, seconds);
  return response;
};

export const handleError: HandleServerError = ({ error, event }) => {
  if (error instanceof Error && event.route.id) log.error(error.message, { route: event.route.id, error: error.name });
  return { message: "something went wrong here; it is logged" };
};
