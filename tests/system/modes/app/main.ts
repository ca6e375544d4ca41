// An app that can be made to fail in any way, one at a time: POST :9000/NAME. What it does while
// nothing is asked of it is what a healthy replica does.

import { openSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";

import { Client, Pool } from "pg";

const { DATABASE_URL, EXECUTOR, APP_VERSION = "1", SIGTERM = "0", FAILS = "" } = process.env;
// A pool of the app's own for DBOS, under this name; and whether DBOS listens, by which it is known.
const { OWN_POOL, LISTENS = "yes", ABANDONS } = process.env;
// Where DBOS keeps its tables; and whether it is launched at once, or by heal().
const { SCHEMA, LAUNCHES = "yes" } = process.env;
const POOL_SIZE = 2;

if (SIGTERM !== "ignored") process.once("SIGTERM", () => process.exit(Number(SIGTERM)));
if (FAILS === "throw") throw new Error("it fails at every start");

type Answer = { status: number } | "never";
let livez: Answer = { status: 200 };
let readyz: Answer = { status: 200 };
let asksDatabase = false;

// Idle connections stay: one is always there to be seen.
const settings = { connectionString: DATABASE_URL, max: POOL_SIZE, idleTimeoutMillis: 0 };
const pool = DATABASE_URL ? new Pool(settings) : undefined;
pool?.on("error", () => undefined);
pool?.query("SELECT 1").catch(() => undefined);

const answer: RequestListener = async (request, response) => {
  if (request.url === "/readyz" && asksDatabase) await pool?.query("SELECT 1");
  const wanted = request.url === "/livez" ? livez : readyz;
  if (wanted === "never") return;
  response.writeHead(wanted.status).end(`${wanted.status}\n`);
};

let http: Server | undefined;
let tcp: ReturnType<typeof createTcpServer> | undefined;
listen();

function listen(): void {
  http = createServer(answer).listen(3000, "0.0.0.0");
}

async function deaf(): Promise<void> {
  http?.closeAllConnections();
  await new Promise((resolve) => http?.close(resolve));
}

/** Something else than an HTTP server takes the port. */
async function speak(greet: (socket: Socket) => void): Promise<void> {
  await deaf();
  tcp = createTcpServer((socket) => {
    accepted.add(socket);
    socket.on("error", () => undefined);
    greet(socket);
  }).listen(3000, "0.0.0.0");
}

const accepted = new Set<Socket>();
let work: ReturnType<typeof setInterval> | undefined;
const children: { kill: () => void }[] = [];
const leaked: Client[] = [];
const busy: (() => void)[] = [];

async function leak(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const client = new Client({ connectionString: DATABASE_URL });
    client.on("error", () => undefined);
    await client.connect();
    leaked.push(client);
  }
}

const faults: Record<string, () => unknown> = {
  spin: () => {
    for (;;);
  },
  work: () => {
    work = setInterval(() => {
      for (const end = performance.now() + 1500; performance.now() < end; );
    }, 1);
  },
  wait: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  "never-live": () => (livez = "never"),
  "sick-live": () => (livez = { status: 500 }),
  "not-ready": () => (readyz = { status: 503 }),
  "broken-ready": () => (readyz = { status: 500 }),
  "never-ready": () => (readyz = "never"),
  "no-such-page": () => (readyz = { status: 404 }),
  deaf,
  reset: () => speak((socket) => socket.once("data", () => socket.resetAndDestroy())),
  babble: () => speak((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")),
  throw: () => {
    throw new Error("nobody catches this");
  },
  reject: () => void Promise.reject(new Error("nobody handles this")),
  "exit-0": () => process.exit(0),
  abort: () => process.abort(),
  eat: () => {
    const eaten: Buffer[] = [];
    for (;;) eaten.push(Buffer.alloc(1 << 24, 1));
  },
  // Again and again: each connection that ends leaves one.
  "open-files": () =>
    setInterval(() => {
      try {
        for (;;) openSync("/dev/null", "r");
      } catch {} // EMFILE
    }, 100),
  "eat-child": () =>
    children.push(Bun.spawn(["bun", "-e", "for (const all = []; ; ) all.push(Buffer.alloc(1 << 24, 1))"])),
  second: () => children.push(Bun.spawn(["bun", "/modes/idle.ts"])),
  // A look-alike: what PM2's daemon is called is what it is known by.
  pm2: () => children.push(Bun.spawn(["sleep", "600"], { argv0: "PM2 v5.4.3: God Daemon (/root/.pm2)" })),
  zombies: async () => {
    for (let i = 0; i < 8; i++) await Bun.spawn(["sh", "-c", "sleep 0.1 & exit 0"]).exited;
  },
  // posix_spawn(3) waits in the kernel, by vfork(2), for a child that waits for a writer.
  "wait-in-kernel": () => {
    const { dlopen, ptr } = require("bun:ffi");
    const pointer = { args: ["ptr"], returns: "i32" };
    const { symbols: libc } = dlopen("libc.so.6", {
      mkfifo: { args: ["ptr", "i32"], returns: "i32" },
      posix_spawn_file_actions_init: pointer,
      posix_spawn_file_actions_addopen: { args: ["ptr", "i32", "ptr", "i32", "i32"], returns: "i32" },
      posix_spawn: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
    });
    const text = (word: string) => Buffer.from(`${word}\0`);
    const [fifo, program] = [text("/tmp/nobody-writes"), text("/bin/true")];
    const [actions, pid, none] = [Buffer.alloc(256), Buffer.alloc(8), Buffer.alloc(8)];
    libc.mkfifo(ptr(fifo), 0o600);
    libc.posix_spawn_file_actions_init(ptr(actions));
    libc.posix_spawn_file_actions_addopen(ptr(actions), 0, ptr(fifo), 0, 0);
    libc.posix_spawn(ptr(pid), ptr(program), ptr(actions), null, ptr(none), ptr(none));
  },
  leak: () => leak(5),
  "leak-one": () => leak(1),
  "take-all": async () => {
    await leak(1);
    const taken = await Promise.all(Array.from({ length: POOL_SIZE }, () => pool!.connect()));
    for (const client of taken) client.release();
  },
  saturate: async () => {
    for (let i = 0; i < POOL_SIZE; i++) {
      const client = await pool!.connect();
      busy.push(() => client.release());
    }
    asksDatabase = true;
  },
  hold: async () => {
    await leak(1);
    for (let i = 0; i < POOL_SIZE; i++) {
      const client = await pool!.connect();
      await client.query("BEGIN");
      busy.push(() => client.release(true));
    }
    await leaked[0]!.query("BEGIN");
  },
  "end-dbos": async () => (await dbos()).shutdown(),
};

async function heal(): Promise<void> {
  clearInterval(work);
  livez = readyz = { status: 200 };
  asksDatabase = false;
  if (tcp) {
    for (const socket of accepted) socket.destroy();
    accepted.clear();
    await new Promise((resolve) => tcp?.close(resolve));
    tcp = undefined;
  }
  if (!http?.listening) listen();
  for (const child of children.splice(0)) child.kill();
  for (const release of busy.splice(0)) release();
  for (const client of leaked.splice(0)) await client.end();
  if (EXECUTOR) await (await dbos()).launch();
}

async function dbos() {
  return (await import("@dbos-inc/dbos-sdk")).DBOS;
}

if (EXECUTOR) {
  const DBOS = await dbos();
  const own = OWN_POOL
    ? new Pool({ connectionString: DATABASE_URL, max: 3, application_name: OWN_POOL })
    : undefined;
  own?.on("error", () => undefined);
  const quiet = { debug() {}, info() {}, warn: console.log, error: console.log };
  DBOS.setConfig({
    name: "modes",
    systemDatabaseUrl: DATABASE_URL,
    systemDatabasePool: own,
    systemDatabasePoolSize: 3,
    systemDatabaseSchemaName: SCHEMA,
    executorID: EXECUTOR === "local" ? undefined : EXECUTOR,
    applicationVersion: APP_VERSION || undefined, // then DBOS computes one
    useListenNotify: LISTENS === "yes",
    notificationCoalesceMs: 1_000, // for streams and events, of which there are none
    logger: quiet,
  });
  DBOS.registerWorkflow(async () => "done", { name: "work" });
  if (LAUNCHES === "yes") await DBOS.launch();
}

if (ABANDONS) await leak(Number(ABANDONS));

createServer((request, response) => {
  const name = (request.url ?? "").slice(1);
  const act = name === "heal" ? heal : faults[name];
  if (act === undefined) return void response.writeHead(404).end(`no fault is called ${name}\n`);
  const later = !["heal", "saturate", "leak", "leak-one", "take-all"].includes(name);
  // Most answer first, since some leave nobody to answer.
  if (later) {
    response.end("ok\n");
    setTimeout(act, 20);
  } else {
    void Promise.resolve(act()).then(() => response.end("ok\n"));
  }
}).listen(9000, "0.0.0.0");
