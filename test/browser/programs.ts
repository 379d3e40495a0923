/** The programs that the browser tests need: each from its environment variable, or where it is usually installed. */
import { existsSync, readdirSync } from "node:fs";

/** Chromium without windows opens a page in a third of the time that the whole program needs. */
export const CHROMIUM =
  process.env.CHROMIUM ?? firstOf("/usr/bin/chromium-headless-shell", "/usr/bin/chromium");
export const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
/** WebKit's driver and browser, and the X server that they need. */
export const WEBKIT_DRIVER = process.env.WEBKIT_DRIVER ?? "/usr/bin/WebKitWebDriver";
export const MINIBROWSER =
  process.env.MINIBROWSER ??
  firstOf(...readdirSync("/usr/lib").map((machine) => `/usr/lib/${machine}/webkit2gtk-4.1/MiniBrowser`));
export const XVFB = process.env.XVFB ?? "/usr/bin/Xvfb";

/**
 * Returns whether all of these programs are there. Otherwise prints that the tests with this browser are left out.
 * @throws Error in continuous integration (`CI`), where all must be there
 */
export function isInstalled(browser: string, programs: readonly string[]): boolean {
  const missing = programs.filter((program) => !existsSync(program));
  if (missing.length === 0) return true;
  const message = `${browser} is not installed (${missing.join(", ")}): run test/install.sh, or see docs/browsers.md.`;
  if (process.env.CI) throw new Error(message);
  console.warn(`${message} The tests with ${browser} are left out.`);
  return false;
}

/** Returns the first of these paths that exists, else the last. */
function firstOf(...paths: string[]): string {
  return paths.find((path) => existsSync(path)) ?? paths.at(-1) ?? "";
}
