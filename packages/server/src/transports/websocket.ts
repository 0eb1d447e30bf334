/**
 * A connection's bytes over WebSocket: between a Node socket or a stream of HTTP/2, the RFC 6455 engine and
 * `Connection`. It decides when a client takes no more: when Node's own buffer is full, and when much has been written
 * that no pong has confirmed yet, since the kernel holds megabytes for a peer that does not read. One object per
 * connection; listeners are shared.
 */
import { isUtf8 } from "node:buffer";
import type { Duplex } from "node:stream";
import { CLOSE_REASONS, type CloseReason } from "@tidewire/protocol";
import {
	type Handler,
	type MessageCompression,
	type ResolvedLimits,
	Connection as WebSocket,
} from "@tidewire/websocket";
import { randomMask, resetSocket } from "@tidewire/websocket/node";
import type { Connection, Transport } from "../connection/connection.ts";
import type { Beating, Heartbeat } from "../connection/heartbeat.ts";
import type { WheelItem } from "../connection/wheel.ts";

/** The close frame had no code (RFC 6455 §7.4.1). */
const NO_STATUS = 1005;
/** After so many bytes a ping follows, and the client takes no more until its pong proves that it has read them. */
const PROBE_EVERY_BYTES = 256 * 1024;
/** What may wait in this process to be written to a socket that takes no more, before the connection is ended. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 5_000;

const kTransport = Symbol("tidewire.transport");

interface OwnedSocket extends Duplex {
	[kTransport]?: WebSocketTransport;
	setTimeout?(ms: number): unknown;
	readonly remoteAddress?: string | undefined;
	/** Of a stream of HTTP/2. */
	readonly session?: { readonly socket: { readonly remoteAddress?: string | undefined } } | undefined;
}

export class WebSocketTransport implements Transport, Beating {
	// What a write needs comes first: with a thousand subscribers each line of the cache counts.
	readonly #socket: OwnedSocket;
	/** Until the closing handshake begins. */
	#open = true;
	#drained = true;
	/** Written since the last probe was sent. */
	#sinceProbe = 0;
	/** The probe that is out, or 0. */
	#probe = 0;
	/** Set by whoever made this, before `open`. */
	connection!: Connection;
	#opened = false;
	readonly #webSocket: WebSocket<WebSocketTransport>;

	wheelNext: WheelItem | undefined;
	wheelPrevious: WheelItem | undefined;
	dueMs = 0;
	heardMs = 0;
	pingedMs = 0;
	askedMs = 0;
	closeByMs = 0;

	readonly #heartbeat: Heartbeat;
	/** Written before the probe that is out. */
	#beforeProbe = 0;
	/** Of the bytes since the last probe, those written before the heartbeat's ping. */
	#beforePing = 0;
	#held = false;

	constructor(socket: Duplex, heartbeat: Heartbeat, limits: ResolvedLimits, compression?: MessageCompression) {
		this.#socket = socket;
		this.#heartbeat = heartbeat;
		this.#webSocket = new WebSocket("server", HANDLER, this, limits, undefined, compression);
	}

	/** The handshake is done: begins to read. `head`: what came behind the request already (S5). */
	open(head: Uint8Array): void {
		const socket = this.#socket;
		this.#opened = true;
		socket[kTransport] = this;
		socket.on("data", onData);
		socket.on("end", onEnd);
		socket.on("close", onClose);
		socket.on("drain", onDrain);
		// An HTTP server's idle time-out is meant for requests; whether this peer is there is the heartbeat's to find out.
		socket.setTimeout?.(0);
		this.#heartbeat.watch(this);
		if (head.length > 0) {
			this.receive(head);
		}
		this.connection.unblocked();
	}

	/** Asked of the socket each time, which then keeps it: most connections are never asked. */
	get remoteAddress(): string | undefined {
		const socket = this.#socket;
		return (socket.session?.socket ?? socket).remoteAddress;
	}

	get blocked(): boolean {
		return !this.#opened || !this.#drained || this.#probe !== 0;
	}

	get congested(): boolean {
		return !this.#drained;
	}

	get unconfirmedBytes(): number {
		return this.#beforeProbe + this.#sinceProbe;
	}

	receive(chunk: Uint8Array): void {
		this.heardMs = this.#heartbeat.nowMs;
		this.#webSocket.receive(chunk);
	}

	write(bytes: Uint8Array): void {
		if (!this.#open) {
			return;
		}
		const wasFull = !this.#drained;
		this.#put(bytes);
		// Not what no pong has confirmed: a peer that reads may be busy, and its pong waits behind what it asks for.
		if (wasFull && this.#socket.writableLength > MAX_UNREAD_BYTES) {
			this.connection.close("slow_consumer", "replies were not read");
			return;
		}
		if (this.#sinceProbe >= PROBE_EVERY_BYTES && this.#probe === 0) {
			this.#sendProbe();
		}
	}

	#put(bytes: Uint8Array): void {
		this.#sinceProbe += bytes.length;
		if (!this.#socket.write(bytes) && this.#socket.writableNeedDrain && this.#drained) {
			// Not read from either until it drains: what is asked for is bounded by what is read.
			this.#drained = false;
			this.#socket.pause();
		}
	}

	#sendProbe(): void {
		// Not to be guessed, so that a client cannot say that it has read what it has not.
		this.#probe = randomMask() >>> 0 || 1;
		this.#beforeProbe = this.#sinceProbe;
		this.#sinceProbe = 0;
		this.#beforePing = 0;
		this.askedMs = this.#heartbeat.nowMs;
		this.#webSocket.ping(probePayload(this.#probe));
	}

	pong(payload: Uint8Array): void {
		if (payload.length === 0) {
			this.#sinceProbe -= this.#beforePing;
			this.#beforePing = 0;
			return;
		}
		if (this.#probe === 0 || payload.length !== 4 || readProbe(payload) !== this.#probe) {
			return;
		}
		this.#probe = 0;
		this.#beforeProbe = 0;
		this.askedMs = 0;
		if (!this.blocked) {
			this.connection.unblocked();
		}
	}

	drained(): void {
		if (this.#drained) {
			// Node says so after every large write; only a socket that had refused more is meant.
			return;
		}
		this.#drained = true;
		this.heardMs = this.#heartbeat.nowMs;
		if (!this.#held) {
			this.#socket.resume();
		}
		this.connection.drained();
		if (!this.blocked) {
			this.connection.unblocked();
		}
	}

	pause(): void {
		this.#held = true;
		this.#socket.pause();
	}

	resume(): void {
		this.#held = false;
		if (this.#drained) {
			this.#socket.resume();
		}
	}

	close(reason: CloseReason, text: string): void {
		if (!this.#opened) {
			resetSocket(this.#socket);
			return;
		}
		// The peer's close frame has to be read, whatever has stopped reading.
		this.#held = false;
		this.#socket.resume();
		this.#webSocket.close(CLOSE_REASONS[reason].code, text);
	}

	/** The peer has closed its half. */
	peerEnded(): void {
		this.#webSocket.receiveEnd();
		this.#socket.end();
	}

	closing(): void {
		this.#open = false;
		this.#heartbeat.closing(this, CLOSE_TIMEOUT_MS);
	}

	/** The last of what is to be written has been. */
	end(): void {
		this.#socket.end();
	}

	/** Heartbeat: silent for long. */
	ping(): void {
		if (this.#open) {
			this.#beforePing = this.#sinceProbe;
			this.#webSocket.ping();
		}
	}

	/** Heartbeat: given up. */
	dead(): void {
		this.connection.close("heartbeat_lost", "nothing was heard");
		resetSocket(this.#socket);
	}

	/** The socket is gone. */
	gone(): void {
		this.#open = false;
		this.#heartbeat.unwatch(this);
		this.#webSocket.receiveEnd();
		this.connection.ended();
	}

	/** From the engine: bytes that it makes itself (pongs, pings, close frames). */
	writeControl(bytes: Uint8Array): void {
		this.#put(bytes);
	}
}

/** One handler for all connections. */
const HANDLER: Handler<WebSocketTransport> = {
	message: (transport, data, text) => transport.connection.receive(data, text),
	ping() {},
	pong: (transport, payload) => transport.pong(payload),
	close: (transport, code) => transport.connection.ended(reasonOf(code)),
	write: (transport, bytes) => transport.writeControl(bytes),
	end: (transport) => transport.end(),
	closing: (transport) => transport.closing(),
	allocate: (length) => Buffer.allocUnsafe(length),
	isUtf8,
};

/** What a close code says; undefined: nothing, as after an accident. Pages that call `close()` give no code (1005). */
function reasonOf(code: number): CloseReason | undefined {
	if (code === NO_STATUS) {
		return "normal";
	}
	for (const [reason, row] of Object.entries(CLOSE_REASONS)) {
		if (row.code === code) {
			return reason as CloseReason;
		}
	}
	return undefined;
}

function onData(this: OwnedSocket, chunk: Uint8Array): void {
	this[kTransport]?.receive(chunk);
}

function onEnd(this: OwnedSocket): void {
	this[kTransport]?.peerEnded();
}

function onDrain(this: OwnedSocket): void {
	this[kTransport]?.drained();
}

function onClose(this: OwnedSocket): void {
	this[kTransport]?.gone();
}

function probePayload(probe: number): Uint8Array {
	const payload = new Uint8Array(4);
	new DataView(payload.buffer).setUint32(0, probe);
	return payload;
}

function readProbe(payload: Uint8Array): number {
	return new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
}
