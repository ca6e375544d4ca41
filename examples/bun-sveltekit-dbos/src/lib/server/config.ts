// All that the environment may say, read once. A wrong value ends the start with its name and the
// remedy: guessing a pool size would break the connection budget in silence.

export interface Config {
  databaseUrl: string;
  prismaPoolMax: number;
  prismaPool: PoolTimeouts;
  dbosPoolMax: number;
  /** Orders that one replica works on at a time, however many requests it serves. */
  workers: number;
  appVersion: string;
  applicationName: string | undefined;
  readyTimeoutMs: number;
  /** How long an executor is gone before others go on with its work. */
  orphanedMs: number;
  /** How long each half of a step pretends to work. */
  workMs: number;
}

/** Milliseconds. pg's own defaults: no bound on the first and on the last, 10 s for the second. */
export interface PoolTimeouts {
  /** How long a request waits for a connection where the pool has none free. */
  connectMs: number;
  /** After how long without use a connection is given back to Postgres. */
  idleMs: number;
  /** What a statement, or a transaction that does nothing, may take. */
  statementMs: number;
}

export function readConfig(env: Record<string, string | undefined>): Config {
  const faults: string[] = [];

  const text = (key: string, remedy: string): string => {
    const value = env[key] ?? "";
    if (value === "") faults.push(`${key} is not set: ${remedy}`);
    return value;
  };
  const whole = (key: string, fallback: number, smallest: number): number => {
    const value = Number(env[key] || fallback);
    if (Number.isInteger(value) && value >= smallest) return value;
    faults.push(`${key}=${env[key]} must be a whole number of at least ${smallest}`);
    return fallback;
  };

  const config: Config = {
    databaseUrl: text("DATABASE_URL", "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
    prismaPoolMax: whole("PRISMA_POOL_MAX", 5, 1),
    prismaPool: {
      connectMs: whole("PRISMA_POOL_CONNECT_MS", 2_000, 1),
      idleMs: whole("PRISMA_POOL_IDLE_MS", 10_000, 1),
      statementMs: whole("PRISMA_POOL_STATEMENT_MS", 5_000, 1),
    },
    // One connection of DBOS's pool always waits in LISTEN, so one more is the least that can work.
    dbosPoolMax: whole("DBOS_POOL_MAX", 3, 2),
    workers: whole("DBOS_WORKERS", 4, 1),
    appVersion: text("APP_VERSION", "name the release; DBOS recovers a workflow only on the version that began it"),
    applicationName: env.PRISMA_APPLICATION_NAME || undefined,
    readyTimeoutMs: whole("READY_TIMEOUT_MS", 1000, 1),
    orphanedMs: whole("ORPHANED_MS", 15_000, 1),
    workMs: whole("WORK_MS", 300, 0),
  };
  if (config.databaseUrl !== "" && !URL.canParse(config.databaseUrl)) {
    faults.push("DATABASE_URL is no URL: percent-encode special characters of the password");
  }
  if (faults.length > 0) throw new Error(faults.join("; "));
  return config;
}
