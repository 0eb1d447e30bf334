/** `tidewire/client/outbox`: the SDK's outbox for browsers. */
export * from "@tidewire/client/outbox";
