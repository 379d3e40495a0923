/** What an embedder imports. */
export { type Chat, createChat } from "./chat.js";
export { type ServeOptions, type Serving, serve } from "./http/serve.js";
export type { ChatOptions, Secrets } from "./options.js";
export { FileStore, type FileStoreOptions } from "./store/file.js";
export { MemoryStore } from "./store/memory.js";
export { RedisStore, type RedisStoreOptions } from "./store/redis.js";
export { type Draft, type Kept, type Message, type Store, StoreUnavailable } from "./store/store.js";
