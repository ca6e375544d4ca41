module.exports = { apps: [{ name: "shop", script: "build/index.js" }] };
