// Stands between an app and its Postgres, as a pooler does: all sessions come from here. With
// nothing to stand before (UPSTREAM is not set) it ends every connection at its first byte.

import { connect, createServer } from "node:net";

const [host, port] = (process.env.UPSTREAM ?? "").split(":");

createServer((client) => {
  client.on("error", () => undefined);
  if (!host) return void client.once("data", () => client.resetAndDestroy());
  const server = connect(Number(port), host);
  server.on("error", () => client.destroy());
  client.on("close", () => server.destroy());
  server.on("close", () => client.destroy());
  client.pipe(server).pipe(client);
}).listen(5432, "0.0.0.0");
