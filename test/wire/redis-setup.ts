/** One Redis for all tests of "wire on Redis", without a disk. Vitest runs this around them. */
import type { TestProject } from "vitest/node";
import { startRedis } from "./redis.js";

declare module "vitest" {
  interface ProvidedContext {
    redis: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis("--appendonly", "no");
  project.provide("redis", redis.url);
  return redis.stop;
}
