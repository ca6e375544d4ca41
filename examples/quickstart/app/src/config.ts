// All that the environment may say, read once. A wrong value ends the start with its name and the
// remedy: guessing a pool size would break the connection budget in silence.

export interface Config {
  host: string | undefined;
  port: number;
  databaseUrl: string;
  prismaPoolMax: number;
  dbosPoolMax: number;
  appVersion: string;
  readyTimeoutMs: number;
  drainMs: number;
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
    host: env.HOST || undefined,
    port: whole("PORT", 3000, 0),
    databaseUrl: text("DATABASE_URL", "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
    prismaPoolMax: whole("PRISMA_POOL_MAX", 5, 1),
    // One connection of DBOS's pool always waits in LISTEN, so one more is the least that can work.
    dbosPoolMax: whole("DBOS_POOL_MAX", 3, 2),
    appVersion: text("APP_VERSION", "name the release; DBOS recovers a workflow only on the version that began it"),
    readyTimeoutMs: whole("READY_TIMEOUT_MS", 1000, 1),
    drainMs: whole("DRAIN_MS", 0, 0),
  };
  if (config.databaseUrl !== "" && !URL.canParse(config.databaseUrl)) {
    faults.push("DATABASE_URL is no URL: percent-encode special characters of the password");
  }
  if (faults.length > 0) throw new Error(faults.join("; "));
  return config;
}
