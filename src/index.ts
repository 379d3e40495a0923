/** What an embedder imports. */
export { type Chat, createChat, type FollowOptions } from "./chat.js";
export { type ServeOptions, type Serving, serve } from "./http/serve.js";
export type { ChatOptions, Identified, Secrets } from "./options.js";
export type { HostDraft } from "./post.js";
export type { News } from "./room/follow.js";
export { FileStore, type FileStoreOptions } from "./store/file.js";
export { MemoryStore } from "./store/memory.js";
export { RedisStore, type RedisStoreOptions } from "./store/redis.js";
export { type Draft, type Kept, type Message, type Store, StoreUnavailable } from "./store/store.js";
