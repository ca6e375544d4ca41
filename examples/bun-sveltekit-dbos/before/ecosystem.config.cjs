module.exports = {
  apps: [
    {
      name: "order-desk",
      script: "server.ts",
      interpreter: "node",
      exec_mode: "cluster",
      instances: process.env.WEB_CONCURRENCY || 4,
      kill_timeout: 12_000,
    },
  ],
};
