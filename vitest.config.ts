import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Whole-server tests hold thousands of sockets; two at a time is what a small machine bears.
    maxWorkers: 2,
    // A hang must fail, not wait; no test asserts a time, so this is only a backstop.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
