import type { RequestHandler } from "./$types";

// Readiness: database and DBOS, within READY_TIMEOUT_MS, and not while stopping.
export const GET: RequestHandler = async ({ locals }) => {
  const reason = await locals.replica.notReady();
  return reason === undefined ? new Response("ok\n") : new Response(`${reason}\n`, { status: 503 });
};
