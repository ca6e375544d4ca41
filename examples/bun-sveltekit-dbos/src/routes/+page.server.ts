import { redirect } from "@sveltejs/kit";

import { SHOPS } from "#lib/shops.ts";

export const load = () => redirect(307, `/${SHOPS[0].id}`);
