import { defineParams } from "@sveltejs/kit/params";

import { SHOPS } from "#lib/shops.ts";

export const params = defineParams({
  shop: (value) => (SHOPS.some((shop) => shop.id === value) ? value : undefined),
});
