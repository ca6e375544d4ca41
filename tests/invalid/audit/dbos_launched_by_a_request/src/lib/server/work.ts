import { DBOS } from "@dbos-inc/dbos-sdk";
import { containerName } from "./identity";

const executor = await containerName();

export async function startWork(): Promise<void> {
  DBOS.setConfig({
    name: "shop",
    systemDatabaseUrl: process.env.DATABASE_URL,
    systemDatabasePoolSize: Number(process.env.DBOS_POOL_MAX ?? 3),
    executorID: executor,
    applicationVersion: process.env.APP_VERSION,
  });
  await DBOS.registerQueue("orders", { workerConcurrency: 4 });
}

export const stopWork = () => DBOS.shutdown();
