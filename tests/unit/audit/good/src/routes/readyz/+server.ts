import { pool } from "$lib/server/database";

export const GET = async () => {
  await pool.query("SELECT 1");
  return new Response("ok\n");
};
