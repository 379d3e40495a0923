/** The client of Redis, an optional peer dependency: loaded on demand. */

/** How long a connection, or an answer, may take. After that the connection counts as lost. */
export const TIMEOUT_MS = 2_500;

export type Client = ReturnType<Awaited<ReturnType<typeof loadClient>>>;

/**
 * Loads the client. Returns a function that makes one, not connected yet, which
 * counts as lost when its socket is idle for `socketTimeout` milliseconds; 0 is for ever. Rejects with what to do if it is not installed.
 */
export async function loadClient() {
  const { createClient } = await import("redis").catch((cause: unknown) => {
    throw new Error("Redis needs its client, which is not installed; run: npm install redis", { cause });
  });
  return (url: string, socketTimeout = 0) => {
    // It neither queues nor reconnects, because a command that is late must not be sent.
    const socket = { socketTimeout, connectTimeout: TIMEOUT_MS, reconnectStrategy: false } as const;
    // Notices of Redis Enterprise: to ask for them, the client looks up the host, and an IPv6 address fails.
    return createClient({ url, disableOfflineQueue: true, socket, maintNotifications: "disabled" });
  };
}
