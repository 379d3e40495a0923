import { CHROMIUM, FIREFOX, isInstalled, MINIBROWSER, WEBKIT_DRIVER, XVFB } from "./test/browser/programs.js";

const shared = {
  // A hang must fail, not wait; no test asserts a time, so this is only a backstop.
  testTimeout: 120_000,
  // On a busy machine, one or two tests miss an event of a browser or a process. The report names a repeated test.
  retry: process.env.CI ? 1 : 0,
  hookTimeout: 60_000,
  // The default of a second is too short for a page on a busy machine.
  expect: { poll: { timeout: 60_000 } },
};

/** What runs in all three engines. */
const ENGINE_FILES = "test/browser/engines/*.test.ts";
/** What else depends on the engine. The tests of other files run in Chromium only. */
const FIREFOX_FILES = "test/browser/{outage,tabs}.test.ts";
const TEXT_FILES = "test/browser/text.test.ts";
const hasChromium = isInstalled("Chromium", [CHROMIUM]);
const hasFirefox = isInstalled("Firefox", [FIREFOX]);
const hasWebKit = isInstalled("WebKit", [WEBKIT_DRIVER, MINIBROWSER, XVFB, "/usr/bin/openssl"]);
const hasText = isInstalled(
  "A text browser",
  ["w3m", "lynx", "links2", "elinks", "script"].map((name) => `/usr/bin/${name}`),
);

/** What depends on names and keys that processes share. The conformance kit runs on each store, too. */
const REDIS_FILES = "test/wire/{keys,login,presence,sessions}.test.ts";

// A plain object: the tools are installed in test/, where this file cannot import them from.
export default {
  test: {
    ...shared,
    // Many tests wait for timers of a server: on two cores, two workers use half of the machine.
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...shared,
          name: "all",
          include: ["test/**/*.test.ts"],
          exclude: [
            "**/node_modules/**",
            "test/browser/{!(text),*/*}.test.ts",
            ...(hasText ? [] : [TEXT_FILES]),
          ],
        },
      },
      // Without isolation, the files of a worker share its browser.
      {
        test: {
          ...shared,
          name: "Chromium",
          include: hasChromium ? ["test/browser/*.test.ts", ENGINE_FILES] : [],
          exclude: [TEXT_FILES],
          isolate: false,
        },
      },
      {
        test: {
          ...shared,
          name: "Firefox",
          include: hasFirefox ? [FIREFOX_FILES, ENGINE_FILES] : [],
          isolate: false,
          env: { BROWSER: "firefox" },
        },
      },
      {
        test: {
          ...shared,
          name: "WebKit",
          include: hasWebKit ? [ENGINE_FILES] : [],
          isolate: false,
          env: { BROWSER: "webkit" },
        },
      },
      {
        test: {
          ...shared,
          name: "wire on Redis",
          include: [REDIS_FILES],
          env: { STORE: "redis" },
          globalSetup: "test/wire/redis.ts",
        },
      },
    ],
  },
};
