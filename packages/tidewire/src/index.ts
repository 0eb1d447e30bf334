/**
 * What people install: the server, the contract, the memory broker and the config file's types under one name. The SDK is
 * `tidewire/client`, so that a page does not load the server; `tidewire/contract` is for code that both ends share.
 */
export { createMemoryBroker } from "@tidewire/broker";
export { type Config, defineConfig } from "@tidewire/cli/config";
export { action, type Contract, ContractError, channel, contract } from "@tidewire/contract";
export { createServer } from "@tidewire/server";
