/** What an embedder imports. */
export { type Chat, type ChatOptions, createChat } from "./chat.js";
export { type Draft, type Kept, type Message, type Store, StoreUnavailable } from "./store/store.js";
