/** The SDK, for browsers and Node. */
export * from "@tidewire/client";
