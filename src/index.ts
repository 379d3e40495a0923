/** The entry of the package `holdline`. */
export { type Chat, createChat } from "./chat/chat.js";
export type { ChatOptions, Identified, Secrets } from "./chat/options.js";
export type { HostMessage } from "./chat/post.js";
export { type ServeOptions, type Serving, serve } from "./http/serve.js";
export { FileStore, type FileStoreOptions } from "./store/file.js";
export { MemoryStore } from "./store/memory.js";
export { RedisStore, type RedisStoreOptions } from "./store/redis.js";
export { type Message, type NewMessage, type Snapshot, type Store, StoreUnavailable } from "./store/store.js";
