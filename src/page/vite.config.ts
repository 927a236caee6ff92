import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** Bundles the page into one script and one style sheet, the same on every machine. */
export default defineConfig({
  publicDir: false,
  logLevel: "warn",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2023",
    rolldownOptions: { checks: { pluginTimings: false } },
    minify: true,
    // One file each, because the server writes both into the page.
    lib: {
      entry: fileURLToPath(new URL("main.tsx", import.meta.url)),
      formats: ["iife"],
      name: "page",
      fileName: () => "page.js",
      cssFileName: "page",
    },
  },
});
