/** What both ends share, and the client's JSON codec. Browser-safe and small; the server's half is `./server`. */
export { channelNameProblem, isReservedChannel, MAX_CHANNEL_NAME_BYTES } from "./channel-name.ts";
export { type ClientCodec, EMPTY, type Outbound, type OutboundEntry, type ServerCodec } from "./codec.ts";
export {
	CLOSE_REASONS,
	type CloseReason,
	ERROR_CODES,
	type ErrorCode,
	ProtocolError,
	reconnectsAfter,
} from "./codes.ts";
export { parseDurationMs } from "./duration.ts";
export { jsonClient } from "./json-client.ts";
export type {
	Ack,
	AuthMessage,
	BareMessage,
	CallMessage,
	CancelMessage,
	ChannelEvent,
	ChannelMessage,
	ClientMessage,
	Failure,
	GapReason,
	Hello,
	HistoryMessage,
	Member,
	MessageId,
	Payload,
	PingMessage,
	PresenceMessage,
	PresenceOptions,
	PublishMessage,
	ReceivedMessage,
	Reconnect,
	Report,
	ResumeMessage,
	ServerMessage,
	SlowPolicy,
	StatePatch,
	StreamReply,
	Subscribed,
	SubscribeMessage,
	SubscribeTarget,
	UnsubscribeMessage,
	WireError,
} from "./message.ts";
export { formatPosition, MAX_POSITION_LENGTH, type Position, parsePosition } from "./position.ts";
