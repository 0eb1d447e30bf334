/** State channels in the SDK: a value that is kept up to date. */
export * from "@tidewire/client/state";
