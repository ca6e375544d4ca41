// Taking an order, from the form and from the API alike.

import { place, type Request } from "./orders";
import type { Replica } from "./replica";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MOST = 50;

/** What is wrong with an order, for whoever sent it. */
export class OrderFault extends Error {}

/**
 * Notes an order and queues its work. Both may be repeated with the same id: whoever got no answer
 * sends it again, and nothing happens twice.
 */
export async function order(replica: Replica, shop: string, said: Record<string, unknown>): Promise<{ id: string }> {
  const request = read(said);
  await replica.database.as(shop, async (tx) => {
    const known = await tx.product.count({ where: { sku: request.sku } });
    if (known === 0) throw new OrderFault("sku: no such product");
    await place(tx, shop, request);
  });
  await replica.work.enqueue(shop, request.id);
  return { id: request.id };
}

function read(said: Record<string, unknown>): Request {
  const id = said.id === undefined ? crypto.randomUUID() : String(said.id);
  const customer = String(said.customer ?? "").trim();
  const quantity = Number(said.quantity ?? 1);
  if (!UUID.test(id)) throw new OrderFault("id: must be a UUID in lower case");
  if (customer === "" || customer.length > 80) throw new OrderFault("customer: must have 1 to 80 characters");
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MOST) {
    throw new OrderFault(`quantity: must be a whole number from 1 to ${MOST}`);
  }
  return { id, customer, quantity, sku: String(said.sku ?? "") };
}
