import { fork } from "node:child_process";
import { startWork, stopWork } from "$lib/server/work";
import { telemetry } from "$lib/server/telemetry";

export const init = async () => {
  telemetry();
  fork("./build/worker.js");
  await startWork();
  process.once("SIGTERM", stopWork);
};
