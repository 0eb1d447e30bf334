/**
 * Drives connections from Node sockets, or from HTTP/2 streams, which take their place (RFC 8441 §5): the shell around
 * the sans-IO core. Listeners are functions shared by all sockets, the connection hangs on its socket under one symbol,
 * and nothing else is allocated for it.
 *
 * What one received chunk makes us write goes out as one write. A socket whose buffer is full is not read from until it
 * has drained, which bounds what a peer that never reads can make us hold.
 */
import { isUtf8 } from "node:buffer";
import type { Http2Stream } from "node:http2";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Connection } from "../connection.ts";
import type { Handler } from "../handler.ts";

/** What the shell must find in a connection's context. `socket.writableNeedDrain` tells when to hold writing back. */
export interface SocketContext {
	readonly socket: Duplex;
}

/** What the owner of a socket handles itself: a core handler's calls without those that the shell makes its own. */
export type SocketEvents<Context extends SocketContext> = Pick<Handler<Context>, "message" | "ping" | "pong" | "close">;

type Driven = Pick<Connection<unknown>, "receive" | "receiveEnd" | "checkDeadlines">;

const kConnection = Symbol("tidewire.connection");

const kHeld = Symbol("tidewire.held");

interface DrivenSocket extends Duplex {
	[kConnection]?: Driven;
	/** There once the owner has held reading back. */
	[kHeld]?: boolean;
}

/** Above this many bytes, or with such a long one among them, pieces go to the kernel as they are, not copied into one. */
const JOIN_BELOW = 64 * 1024;
const AS_IS_FROM = 16 * 1024;
/** How coarse close time-outs are. */
const SWEEP_MS = 500;
/** RFC 9113 §7 */
const HTTP2_CANCEL = 0x8;
const NOTHING = new Uint8Array(0);

/** The socket whose chunk is being received, and what it is to write after it. */
let receiving: Duplex | undefined;
let pieces: Uint8Array[] = [];

/**
 * Where the frames that answer a chunk are built, one behind the other, so that they are one write without being copied
 * together. What the kernel has taken at once is written over by the next answer: each new ArrayBuffer brings V8's next
 * full collection nearer, which costs more than all else here. Otherwise a slab is left to those who still send from it.
 */
const SLAB_BYTES = 32 * 1024;
const LONGEST_IN_SLAB = 16 * 1024;
let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabUsed = 0;
/** Whether a frame in the slab may be another socket's than that whose chunk is being received. */
let slabShared = false;

/** Sockets that are to close: in their closing handshake, or with bytes that the peer does not take. One timer for all. */
const leaving = new Set<DrivenSocket>();
let sweeper: NodeJS.Timeout | undefined;

/** Makes a core handler for sockets out of the owner's events. Make it once and share it. */
export function socketHandler<Context extends SocketContext>(events: SocketEvents<Context>): Handler<Context> {
	return {
		message: (context, data, text) => events.message(context, data, text),
		ping: (context, payload) => events.ping(context, payload),
		pong: (context, payload) => events.pong(context, payload),
		close: (context, code, reason, initiator, clean) => events.close(context, code, reason, initiator, clean),
		write,
		end,
		closing,
		allocate,
		isUtf8,
	};
}

/**
 * Drives `connection` from `socket`, whose opening handshake is done. `head` is what was received behind it. Its events
 * do not come before this call has returned.
 */
export function driveSocket(socket: Socket, connection: Driven, head: Uint8Array): void {
	// The closing handshake decides when our half closes, not the arrival of the peer's FIN.
	socket.allowHalfOpen = true;
	socket.setTimeout(0);
	socket.setNoDelay(true);
	drive(socket, connection, head);
}

/** As `driveSocket`, from a stream of HTTP/2 that has been answered with 200. */
export function driveStream(stream: Http2Stream, connection: Driven): void {
	drive(stream, connection, NOTHING);
}

function drive(socket: DrivenSocket, connection: Driven, head: Uint8Array): void {
	socket[kConnection] = connection;
	if (socket.listenerCount("error", onError) === 0) {
		socket.on("error", onError);
	}
	socket.on("close", onClose);
	socket.on("end", onEnd);
	socket.on("drain", onDrain);
	// A flowing socket would emit `head` from within `unshift`; a paused one starts in a later turn.
	socket.pause();
	socket.on("data", onData);
	const ended = socket.readableEnded;
	if (head.length > 0 && !ended) {
		socket.unshift(head);
	}
	socket.resume();
	if (ended || socket.destroyed) {
		// Its "end" or "close" may have gone by already, and what came before is here. A second end changes nothing.
		process.nextTick(() => {
			if (ended && head.length > 0) {
				connection.receive(head);
			}
			onEnd.call(socket);
		});
	}
}

function onData(this: DrivenSocket, chunk: Uint8Array): void {
	if (receiving !== undefined) {
		// From within another's message, which a transport in memory can do: its answers are not to be mixed with these.
		this[kConnection]?.receive(chunk);
		return;
	}
	receiving = this;
	try {
		this[kConnection]?.receive(chunk);
	} finally {
		receiving = undefined;
		flush(this);
		recycleSlab(this);
	}
	if (this.writableNeedDrain) {
		this.pause();
	}
}

function onDrain(this: DrivenSocket): void {
	if (this[kHeld] !== true) {
		this.resume();
	}
}

/** Stops reading from a driven socket until `releaseReading`, or until its connection begins to close. */
export function holdReading(socket: Duplex): void {
	(socket as DrivenSocket)[kHeld] = true;
	socket.pause();
}

export function releaseReading(socket: Duplex): void {
	(socket as DrivenSocket)[kHeld] = false;
	if (!socket.writableNeedDrain) {
		socket.resume();
	}
}

function onEnd(this: DrivenSocket): void {
	this[kConnection]?.receiveEnd();
	// A peer that has closed its half may still not take what was written to it, and so never let it end.
	leave(this);
}

function onClose(this: DrivenSocket): void {
	this[kConnection]?.receiveEnd();
	leaving.delete(this);
	rest();
}

/** An unheard "error" would end the process; "close" follows it and says what there is to say. */
export function onError(): void {}

function write(context: SocketContext, bytes: Uint8Array): void {
	if (context.socket === receiving) {
		pieces.push(bytes);
	} else {
		// Outside of a chunk nothing is built in the slab.
		slabShared ||= receiving !== undefined;
		context.socket.write(bytes);
	}
}

function allocate(length: number): Uint8Array {
	if (receiving === undefined || length > LONGEST_IN_SLAB) {
		return Buffer.allocUnsafe(length);
	}
	if (length > SLAB_BYTES - slabUsed) {
		newSlab();
	}
	const at = slabUsed;
	slabUsed += length;
	return new Uint8Array(slab.buffer, at, length);
}

function newSlab(): void {
	slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
	slabUsed = 0;
	slabShared = false;
}

/** TCP and TLS have taken or copied what no longer counts as theirs to write; of other transports that is not known. */
function recycleSlab(socket: Duplex): void {
	if (slabUsed === 0) {
		return;
	}
	if (!slabShared && socket instanceof Socket && socket.writableLength === 0) {
		slabUsed = 0;
	} else if (slabUsed > SLAB_BYTES / 2) {
		newSlab();
	} else {
		// What has been built in it stays until there is a new one.
		slabShared = true;
	}
}

function flush(socket: Duplex): void {
	if (pieces.length === 0) {
		return;
	}
	const written = pieces;
	pieces = [];
	const first = written[0]!;
	let bytes = 0;
	let adjacent = true;
	let longest = 0;
	for (const piece of written) {
		adjacent &&= piece.buffer === first.buffer && piece.byteOffset === first.byteOffset + bytes;
		bytes += piece.length;
		longest = Math.max(longest, piece.length);
	}
	if (adjacent) {
		// Made a Buffer here, once for all of them: Node would do it for each.
		socket.write(Buffer.from(first.buffer, first.byteOffset, bytes));
	} else if (bytes <= JOIN_BELOW && longest < AS_IS_FROM) {
		socket.write(Buffer.concat(written, bytes));
	} else {
		socket.cork();
		for (const piece of written) {
			socket.write(piece);
		}
		socket.uncork();
	}
}

function end(context: SocketContext): void {
	const { socket } = context;
	if (socket === receiving) {
		flush(socket);
	}
	if (socket.destroyed) {
		// After a reset `end` would make an error with a stack trace that nobody reads, a fifth of what that closing costs.
		return;
	}
	socket.end();
	// There is no "drain" after `end`, and the peer's FIN must still be seen.
	socket.resume();
}

function closing(context: SocketContext): void {
	// The peer's close frame has to be read, whatever has stopped reading; messages are not delivered any more.
	(context.socket as DrivenSocket)[kHeld] = false;
	context.socket.resume();
	leave(context.socket);
}

/** Gives a socket its time to close. A destroyed one needs none, and its "close" may have gone by. */
function leave(socket: DrivenSocket): void {
	if (!socket.destroyed) {
		leaving.add(socket);
		// Not unref'd: where the last connection closes, its peer is still given its time, and no more.
		sweeper ??= setInterval(sweep, SWEEP_MS);
	}
}

function sweep(): void {
	const now = performance.now();
	for (const socket of leaving) {
		if (socket[kConnection]?.checkDeadlines(now) === true) {
			leaving.delete(socket);
			resetSocket(socket);
		}
	}
	rest();
}

/** Ends a connection without ado: what a reset is to TCP is to a stream RST_STREAM with CANCEL (RFC 8441 §5). */
export function resetSocket(socket: Duplex): void {
	if ("rstCode" in socket && !socket.destroyed) {
		(socket as Http2Stream).close(HTTP2_CANCEL);
	}
	socket.destroy();
}

/** No timer runs while nothing is waited for. */
function rest(): void {
	if (leaving.size === 0) {
		clearInterval(sweeper);
		sweeper = undefined;
	}
}
