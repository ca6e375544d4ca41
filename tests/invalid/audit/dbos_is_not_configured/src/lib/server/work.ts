import { DBOS } from "@dbos-inc/dbos-sdk";
import { containerName } from "./identity";

const executor = await containerName();

export async function startWork(): Promise<void> {
  await DBOS.launch();
  await DBOS.registerQueue("orders", { workerConcurrency: 4 });
}

export const stopWork = () => DBOS.shutdown();
