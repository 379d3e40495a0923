/** Stands in for the log-in that your server has. A real one asks for a password. */
import { randomUUID } from "node:crypto";

const names = new Map();

/** Somebody has logged in. Gives the `Set-Cookie` value. */
export function signIn(name) {
  const id = randomUUID();
  names.set(id, name);
  return `sid=${id}; Path=/; HttpOnly; SameSite=Lax`;
}

/** Who sends this request: a name, or undefined for nobody. */
export function whoIs(req) {
  return names.get(/\bsid=([\w-]+)/.exec(req.headers.cookie ?? "")?.[1]);
}
