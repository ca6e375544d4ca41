import { startWork, stopWork } from "$lib/server/work";
import { telemetry } from "$lib/server/telemetry";

export const init = async () => {
  telemetry();
  process.on("uncaughtException", () => undefined);
  await startWork();
  process.once("SIGTERM", stopWork);
};
