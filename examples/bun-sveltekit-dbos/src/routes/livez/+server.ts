// Liveness: that this runs is the answer. It asks nothing beyond the process.
export const GET = () => new Response("ok\n");
