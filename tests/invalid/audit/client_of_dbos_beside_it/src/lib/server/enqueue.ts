import { DBOSClient } from "@dbos-inc/dbos-sdk";

export const client = await DBOSClient.create({
  systemDatabaseUrl: process.env.DATABASE_URL,
});
