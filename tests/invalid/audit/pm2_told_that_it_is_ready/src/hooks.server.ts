import { startWork, stopWork } from "$lib/server/work";
import { telemetry } from "$lib/server/telemetry";

export const init = async () => {
  telemetry();
  await startWork();
  process.send?.("ready");
  process.once("SIGTERM", stopWork);
};
