import { json } from "@sveltejs/kit";

import { find } from "#lib/server/orders.ts";
import type { RequestHandler } from "./$types";

export const GET: RequestHandler = async ({ params, locals }) => {
  const found = await locals.replica.database.as(params.shop, (tx) => find(tx, params.id));
  return found ? json(found) : json({ detail: "no such order in this shop" }, { status: 404 });
};
