/** Outboxes for browsers, and what is needed to make one for elsewhere. For files in Node see `node.ts`. */
export { indexedDbOutbox } from "./indexed-db.ts";
export { createOutbox, type KeepingOutbox, type KeptMessage, type OutboxOptions } from "./outbox.ts";
export type { Changes, OutboxStore } from "./store.ts";
