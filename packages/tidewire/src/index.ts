/**
 * What people install: the server, the contract, the memory broker and the config file's types under one name. The SDK is
 * `tidewire/client`, so that a page does not load the server; `tidewire/contract` is for code that both ends share.
 */
export { createMemoryBroker } from "@tidewire/broker";
export { type Config, defineConfig } from "@tidewire/cli/config";
export {
	type ActionDeclaration,
	action,
	binary,
	type ChannelDeclaration,
	type Contract,
	ContractError,
	channel,
	contract,
} from "@tidewire/contract";
export {
	type ActionContext,
	ActionError,
	type ActionHandlers,
	type Credentials,
	createServer,
	type HeartbeatLimits,
	type Limits,
	type Listening,
	type ListenOptions,
	type Log,
	type Permissions,
	type PublishExtras,
	type RouteOptions,
	type Rule,
	type RuleContext,
	type ServerChannel,
	ServerError,
	type ServerErrorCode,
	type ServerOptions,
	SILENT,
	type TidewireServer,
	type User,
} from "@tidewire/server";
