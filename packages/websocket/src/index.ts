export { Connection, type Role } from "./connection.ts";
export {
	type DeflateEngine,
	type InflateResult,
	type MessageCompression,
	messageCompression,
} from "./deflate/compression.ts";
export type { DeflateParameters } from "./deflate/negotiation.ts";
export { type CompressionOptions, type ResolvedCompression, resolveCompression } from "./deflate/options.ts";
export { ERROR_CODES, type ErrorCode, WebSocketError } from "./errors.ts";
export { isCloseCode } from "./frame/close.ts";
export { type FrameOptions, frameLength, writeFrameHeader } from "./frame/header.ts";
export { OPCODE, type Opcode } from "./frame/opcode.ts";
export type { Handler, Initiator } from "./handler.ts";
export {
	type AcceptOptions,
	acceptUpgrade,
	type Sha1Base64,
	type Upgrade,
	type UpgradeRequest,
} from "./handshake/accept.ts";
export { acceptConnect } from "./handshake/extended-connect.ts";
export type { RequestHead } from "./handshake/head.ts";
export type { HeaderFields, HeaderSource } from "./handshake/headers.ts";
export type { Agreement, NegotiateOptions, RequestFields } from "./handshake/negotiate.ts";
export {
	requestUpgrade,
	type UpgradeOffer,
	type UpgradeResponse,
	type Verdict,
	type VerifyOptions,
	verifyUpgrade,
} from "./handshake/request.ts";
export { formatResponse, parseResponseHead, type ResponseHead } from "./handshake/response.ts";
export { type Limits, type ResolvedLimits, resolveLimits } from "./limits.ts";
export type { MaskSource } from "./sender.ts";
export type { State } from "./state.ts";
