/** The contract between a server and its clients: declarations, the types inferred from them, and validation. */
export { BUILT_IN_ACTIONS, type BuiltInAction } from "./action-name.ts";
export { binary, type DataEncoding } from "./binary.ts";
export { type ChannelRoute, type ChannelRouter, compileChannels } from "./channel-router.ts";
export { type Actions, type Channels, type Contract, type ContractParts, contract } from "./contract.ts";
export { ContractError, type ContractErrorCode } from "./contract-error.ts";
export {
	type ActionDeclaration,
	type ActionOptions,
	action,
	type ChannelDeclaration,
	type ChannelOptions,
	channel,
	DEFAULT_HISTORY,
	DEFAULT_STATE,
	type History,
	type HistoryOptions,
	type MaybeSchema,
	type MaybeState,
	type PresenceOptions,
	type Schema,
	SLOW_POLICIES,
	type SlowPolicy,
	type StateLimits,
	type StateOf,
	type StateOptions,
} from "./declaration.ts";
export type { Duration } from "./duration.ts";
export type {
	ActionInput,
	ActionItem,
	ActionName,
	ActionOutput,
	ChannelData,
	ChannelInput,
	ChannelName,
	ChannelParams,
	ChannelPatch,
	ChannelPattern,
	HandlerInput,
	HandlerItem,
	HandlerOutput,
	HandlerResult,
	IsState,
	MergePatch,
	NameOf,
	OwnInput,
	SharedChannelName,
	StreamingActionName,
} from "./infer.ts";
export {
	type ChannelParameters,
	compilePattern,
	fill,
	isOwnPattern,
	NO_PARAMETERS,
	OWN_PATTERNS,
	type OwnPattern,
	type Pattern,
} from "./pattern.ts";
export { nameInBoth } from "./pattern-overlap.ts";
export { type Issue, type Validation, validate } from "./validate.ts";
