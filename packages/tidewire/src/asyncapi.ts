/** The AsyncAPI 3 document of a contract, for people and tools that do not read TypeScript. */
export { type AsyncApiDocument, type AsyncApiInfo, asyncapi } from "@tidewire/contract/asyncapi";
