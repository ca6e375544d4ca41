import adapter from "@sveltejs/adapter-node";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";

// adapter-node rather than svelte-adapter-bun: one build runs under Bun and under Node, so the way
// back needs no other one; and svelte-adapter-bun 1.0 drops open connections at SIGTERM.
export default defineConfig({
  plugins: [sveltekit({ adapter: adapter({ precompress: false }), tracing: { server: true } })],
});
