import { Pool } from "pg";

export const GET = async () => {
  await new Pool({ max: Number(process.env.PRISMA_POOL_MAX ?? 5) }).query("SELECT 1");
  return new Response("ok\n");
};
