export { acceptSocket, refuseSocket, type SocketAcceptOptions } from "./accept.ts";
export { type Connected, type ConnectOptions, connectWebSocket } from "./connect.ts";
export {
	driveSocket,
	driveStream,
	resetSocket,
	type SocketContext,
	type SocketEvents,
	socketHandler,
} from "./drive.ts";
export { acceptStream, HTTP2_SETTINGS, isWebSocketStream, refuseStream, type StreamAcceptOptions } from "./http2.ts";
export { createListener, type Listener, type ListenerOptions } from "./listener.ts";
export { type MessageStream, type StreamEvents, sendStream, streamHandler } from "./message-stream.ts";
export { randomKey, randomMask, sha1Base64 } from "./sha1.ts";
export { zlibEngine } from "./zlib.ts";
