/** Contracts: what a server and its clients agree on. It loads neither of them. */
export * from "@tidewire/contract";
