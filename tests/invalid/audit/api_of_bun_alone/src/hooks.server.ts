import { startWork, stopWork } from "$lib/server/work";
import { telemetry } from "$lib/server/telemetry";

export const init = async () => {
  await Bun.sleep(100);
  telemetry();
  await startWork();
  process.once("SIGTERM", stopWork);
};
