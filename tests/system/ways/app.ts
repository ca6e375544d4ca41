// A small app on two ports that can be told to turn sick. It tells what reached it.

let sick = false;

function answer(port: number) {
  return (request: Request): Response => {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/livez":
        return new Response("ok\n");
      case "/readyz":
        return new Response(sick ? "sick\n" : "ok\n", { status: sick ? 500 : 200 });
      case "/-/sick":
      case "/-/well":
        sick = pathname === "/-/sick";
        return new Response(`${sick}\n`);
    }
    return Response.json({
      replica: process.env.HOSTNAME,
      port,
      method: request.method,
      path: pathname,
      tag: request.headers.get("x-tag"),
      prefix: request.headers.get("x-forwarded-prefix"),
      host: request.headers.get("host"),
    });
  };
}

for (const port of [3000, 3001]) Bun.serve({ port, hostname: "0.0.0.0", fetch: answer(port) });
process.once("SIGTERM", () => process.exit(0));
