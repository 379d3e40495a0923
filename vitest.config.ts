const shared = {
  // Whole-server tests hold thousands of sockets; two at a time is what a small machine bears.
  maxWorkers: 2,
  // A hang must fail, not wait; no test asserts a time, so this is only a backstop.
  testTimeout: 120_000,
  hookTimeout: 60_000,
};

// A plain object: the tools are installed in test/, where this file cannot import them from.
export default {
  test: {
    ...shared,
    projects: [
      { test: { ...shared, name: "all", include: ["test/**/*.test.ts"] } },
      // What goes over the wire is the same whatever keeps the messages.
      {
        test: {
          ...shared,
          name: "wire on files",
          include: [
            "test/wire/{contract,delivery,ended,errors,http,impostors,keys,login-key,plain,plain-cookie,plain-foreign,presence,sessions}.test.ts",
          ],
          env: { STORE: "file" },
        },
      },
      {
        test: {
          ...shared,
          name: "wire on Redis",
          include: [
            "test/wire/{contract,delivery,ended,errors,http,impostors,keys,login-key,plain,plain-cookie,plain-foreign,presence,sessions}.test.ts",
          ],
          env: { STORE: "redis" },
          globalSetup: "test/wire/redis-setup.ts",
        },
      },
    ],
  },
};
