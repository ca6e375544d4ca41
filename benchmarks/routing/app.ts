// What is under load: a Bun app that does as a good one should, and can be told to misbehave.

import { appendFileSync } from "node:fs";

const orders = `${process.env.ORDERS ?? "/tmp"}/${process.env.HOSTNAME}`;
let sick = false;

const server = Bun.serve({
  port: 3000,
  hostname: "0.0.0.0",
  routes: {
    "/livez": () => new Response("ok\n"),
    "/readyz": () => new Response(sick ? "sick\n" : "ok\n", { status: sick ? 500 : 200 }),
    "/": async () => {
      await Bun.sleep(3); // as long as a small query takes
      return new Response(process.env.HOSTNAME, { status: sick ? 500 : 200 });
    },
    // Done as soon as it was read: what is sent twice is done twice, and counted.
    "/orders/:id": {
      POST: async (request) => {
        appendFileSync(orders, `${request.params.id}\n`);
        await Bun.sleep(3);
        return new Response(process.env.HOSTNAME, { status: 201 });
      },
    },
    "/-/sick": () => new Response(String((sick = true))),
    "/-/well": () => new Response(String((sick = false))),
    "/-/block": () => {
      setTimeout(() => {
        const until = Date.now() + 5_000;
        while (Date.now() < until);
      }, 10);
      return new Response("blocking\n");
    },
  },
});

process.once("SIGTERM", async () => {
  void server.stop(); // takes no more; it would wait for idle connections as well
  while (server.pendingRequests > 0) await Bun.sleep(5);
  process.exit(0);
});
