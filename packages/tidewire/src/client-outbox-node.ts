/** `tidewire/client/outbox/node`: the SDK's outbox in a file. */
export * from "@tidewire/client/outbox/node";
