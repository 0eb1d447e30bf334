/** Tidewire's SDK for browsers and Node. What is not listed here is private. */
export type {
	Channel,
	ChannelState,
	Gap,
	History,
	HistoryOptions,
	IterateOptions,
	Message,
	PublishOptions,
	RequestOptions,
	Reset,
	SubscribeOptions,
} from "./channel.ts";
export type { Client, ClientEvents, ClientState, ConnectOptions, StreamOptions } from "./client.ts";
export { connect } from "./connect.ts";
export type { Environment, NetworkEvent } from "./environment.ts";
export { type ClientErrorCode, type Issue, TidewireError, type TidewireErrorCode } from "./error.ts";
