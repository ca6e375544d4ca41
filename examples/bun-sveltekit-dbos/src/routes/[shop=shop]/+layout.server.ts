import type { LayoutServerLoad } from "./$types";

// The form carries the id of the order that it will make: sent twice, it makes one. This stands apart
// from what the page asks for each second. So the id stays until an order was placed, when SvelteKit
// loads all anew, or until the shop is another.
export const load: LayoutServerLoad = ({ params }) => ({ shop: params.shop, nextId: crypto.randomUUID() });
