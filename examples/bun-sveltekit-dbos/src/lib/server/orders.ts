// What a shop does with an order. Every function works inside one shop's transaction.

import type { Transaction } from "./database";

/** The steps of an order's work, each with the state that it leaves the order in. */
export const STEPS = [
  ["reserve", "reserved"],
  ["charge", "paid"],
  ["pack", "packed"],
  ["ship", "shipped"],
] as const;

export type Step = (typeof STEPS)[number][0];

export interface Request {
  id: string;
  sku: string;
  customer: string;
  quantity: number;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether an order may have this id: Postgres refuses a query for what is no UUID. */
export function isId(id: string): boolean {
  return UUID.test(id);
}

/** Notes an order; the same id again is the same order, so a form may be sent twice. */
export async function place(tx: Transaction, shop: string, request: Request): Promise<void> {
  await tx.order.createMany({ data: { ...request, shop }, skipDuplicates: true });
}

export async function noteAttempt(tx: Transaction, shop: string, orderId: string, step: Step, executor: string): Promise<void> {
  await tx.attempt.create({ data: { shop, orderId, step, executor } });
}

/**
 * Does what a step is for, once: whoever inserts the row of this order and step changes the rest in
 * the same transaction; whoever comes second (DBOS repeats a step whose end it has not recorded) finds
 * it there and changes nothing.
 */
export async function effect(tx: Transaction, shop: string, orderId: string, step: Step, executor: string): Promise<void> {
  const { count } = await tx.effect.createMany({ data: { shop, orderId, step, executor }, skipDuplicates: true });
  if (count === 0) return;
  const state = STEPS.find(([name]) => name === step)![1];
  const { sku, quantity } = await tx.order.update({ where: { id: orderId }, data: { state } });
  if (step === "reserve") {
    await tx.product.update({ where: { shop_sku: { shop, sku } }, data: { stock: { decrement: quantity } } });
  }
}

export async function newest(tx: Transaction, count: number) {
  const orders = await tx.order.findMany({
    orderBy: { placedAt: "desc" },
    take: count,
    include: { product: { select: { name: true, cents: true } }, effects: { orderBy: { at: "asc" } }, _count: { select: { attempts: true } } },
  });
  return orders.map((order) => ({
    id: order.id,
    customer: order.customer,
    quantity: order.quantity,
    state: order.state,
    placedAt: order.placedAt,
    name: order.product.name,
    cents: order.product.cents * order.quantity,
    steps: order.effects.map(({ step, executor, at }) => ({ step, executor, at })),
    attempts: order._count.attempts,
  }));
}

export async function find(tx: Transaction, id: string) {
  if (!isId(id)) return null;
  return tx.order.findUnique({
    where: { id },
    select: { id: true, state: true, sku: true, quantity: true, effects: { select: { step: true, executor: true } } },
  });
}

export async function catalogue(tx: Transaction) {
  return tx.product.findMany({ orderBy: { cents: "asc" }, select: { sku: true, name: true, cents: true, stock: true } });
}
