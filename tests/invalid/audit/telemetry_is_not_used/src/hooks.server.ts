import { startWork, stopWork } from "$lib/server/work";

export const init = async () => {
  telemetry();
  await startWork();
  process.once("SIGTERM", stopWork);
};
