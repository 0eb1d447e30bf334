/** `tidewire/client/presence`: who is in a channel. */
export * from "@tidewire/client/presence";
