import { json } from "@sveltejs/kit";

import { order, OrderFault } from "#lib/server/intake.ts";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = async ({ request, params, locals }) => {
  if (!locals.replica.work.started) return json({ detail: "not ready" }, { status: 503 });
  try {
    const { id } = await order(locals.replica, params.shop, await request.json());
    return json({ id }, { status: 202, headers: { location: `/${params.shop}/orders/${id}` } });
  } catch (error) {
    if (error instanceof OrderFault || error instanceof SyntaxError) return json({ detail: error.message }, { status: 400 });
    throw error;
  }
};
