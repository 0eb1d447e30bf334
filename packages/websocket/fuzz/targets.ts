/** What can be fuzzed, by name: bytes in, a `Finding` (or any other error) out where a promise is broken. */
import { fuzz as connection } from "./targets/connection.ts";
import { fuzz as handshake } from "./targets/handshake.ts";
import { fuzz as inflate } from "./targets/inflate.ts";

export const TARGETS = { connection, handshake, inflate };

export type TargetName = keyof typeof TARGETS;
