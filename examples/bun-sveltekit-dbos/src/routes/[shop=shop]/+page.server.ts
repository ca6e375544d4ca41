import { fail } from "@sveltejs/kit";

import { order, OrderFault } from "#lib/server/intake.ts";
import { catalogue, newest } from "#lib/server/orders.ts";
import { runtime } from "#lib/server/replica.ts";
import type { Actions, PageServerLoad } from "./$types";

const SHOWN = 12;

export const load: PageServerLoad = async ({ params, locals, depends }) => {
  depends("desk:orders");
  const { replica } = locals;
  const [products, orders] = await replica.database.as(params.shop, async (tx) => [await catalogue(tx), await newest(tx, SHOWN)] as const);
  return {
    products,
    orders,
    servedBy: { replica: replica.name, version: replica.config.appVersion, runtime, pid: process.pid },
  };
};

export const actions: Actions = {
  default: async ({ request, params, locals }) => {
    const form = await request.formData();
    try {
      const { id } = await order(locals.replica, params.shop, Object.fromEntries(form));
      return { id };
    } catch (error) {
      if (error instanceof OrderFault) return fail(400, { fault: error.message });
      throw error;
    }
  },
};
