// Taking an order, from the form and from the API alike.

import { isId, place, type Request } from "./orders";
import type { Replica } from "./replica";

const MOST = 50;

/** What is wrong with an order, for whoever sent it. */
export class OrderFault extends Error {}

/**
 * Notes an order and queues its work. Both may be repeated with the same id: whoever got no answer
 * sends it again, and nothing happens twice.
 */
export async function order(replica: Replica, shop: string, said: unknown): Promise<{ id: string }> {
  const request = read(said);
  await replica.database.as(shop, async (tx) => {
    const known = await tx.product.count({ where: { sku: request.sku } });
    if (known === 0) throw new OrderFault("sku: no such product");
    await place(tx, shop, request);
  });
  await replica.work.enqueue(shop, request.id);
  return { id: request.id };
}

function read(said: unknown): Request {
  if (typeof said !== "object" || said === null || Array.isArray(said)) {
    throw new OrderFault("an order must be an object of sku, customer, quantity and id");
  }
  const fields = said as Record<string, unknown>;
  const id = fields.id === undefined ? crypto.randomUUID() : text(fields, "id");
  const sku = text(fields, "sku");
  const customer = text(fields, "customer").trim();
  const quantity = Number(fields.quantity ?? 1);
  if (!isId(id)) throw new OrderFault("id: must be a UUID in lower case");
  if (customer === "" || customer.length > 80) throw new OrderFault("customer: must have 1 to 80 characters");
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MOST) {
    throw new OrderFault(`quantity: must be a whole number from 1 to ${MOST}`);
  }
  return { id, customer, quantity, sku };
}

/** A field as text that Postgres can keep: it takes no NUL, and no half of a surrogate pair. */
function text(fields: Record<string, unknown>, name: string): string {
  const value = String(fields[name] ?? "");
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new OrderFault(`${name}: must hold neither NUL nor half of a surrogate pair`);
  }
  return value;
}
