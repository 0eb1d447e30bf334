/** The broker in a SQLite file. An entry of its own: where node:sqlite is still experimental, Node says so when it is loaded. */
export * from "@tidewire/broker-sqlite";
