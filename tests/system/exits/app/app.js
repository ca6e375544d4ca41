// One app that ends, or multiplies, in the way that its first argument says. Runs in Bun and Node.
import { spawn } from "node:child_process";
import cluster from "node:cluster";
import { appendFileSync, readFileSync } from "node:fs";

const [mode, value] = process.argv.slice(2);
const self = process.argv[1];
const wait = () => {
  console.log("waits");
  setInterval(() => {}, 1000);
};

const modes = {
  idle: wait,
  handler() {
    process.on("SIGTERM", () => process.exit(Number(value ?? 0)));
    wait();
  },
  throw() {
    throw new Error("nobody catches this");
  },
  reject() {
    Promise.reject(new Error("nobody awaits this"));
    wait();
  },
  exit: () => process.exit(Number(value ?? 0)),
  // A real fault: a SIGSEGV that PID 1 merely sends to itself is dropped by the kernel. Bun reads
  // where nothing is; Node, which cannot, runs over the end of the stack (see `NODE` in table.py).
  async segv() {
    if (process.versions.bun) (await import("bun:ffi")).read.u8(8, 0);
    const again = () => again();
    again();
  },
  abort: () => process.abort(),
  grow() {
    for (const kept = []; ; ) kept.push(Buffer.alloc(1e6, 1));
  },
  // Fails at its first starts, and then is well.
  recovers() {
    appendFileSync("/tmp/starts", ".");
    if (readFileSync("/tmp/starts").length <= Number(value)) process.exit(1);
    modes.handler();
  },
  // Starts a child of the same runtime each second; none lives long.
  brief() {
    modes.handler();
    setInterval(() => spawn(process.execPath, [self, "linger"]), 1000);
  },
  linger: () => setTimeout(() => {}, 2000),
  second() {
    modes.handler();
    spawn(process.execPath, ["worker.js"]);
  },
  cluster() {
    modes.handler();
    if (cluster.isPrimary) cluster.fork();
  },
  // Bun's way to share a port: the same script, started again.
  reuse() {
    modes.handler();
    Bun.serve({ port: 3000, reusePort: true, fetch: () => new Response("hello") });
    if (!process.env.WORKER) {
      Bun.spawn(process.argv, { env: { ...process.env, WORKER: "1" } });
    }
  },
  // Its children leave orphans behind, which become its own and are never waited for.
  orphans() {
    modes.handler();
    for (let n = 0; n < 6; n++) spawn("sh", ["-c", "sleep 0.1 & exit 0"]);
  },
};

modes[mode]();
