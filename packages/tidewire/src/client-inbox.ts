/** `tidewire/client/inbox`: durable consumers. */
export * from "@tidewire/client/inbox";
