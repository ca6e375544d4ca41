import { PrismaPg } from "@prisma/adapter-pg";
import { Pool } from "pg";
import { PrismaClient } from "./generated/client";

// new Pool({ max: 50 }) is what a comment may say.
export const pool = openPool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.PRISMA_POOL_MAX ?? 5),
  connectionTimeoutMillis: 2_000,
});
export const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
