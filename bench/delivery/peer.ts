/**
 * A WebSocket client that costs as little as one in Node can: a bare socket, a handshake that believes the server, and
 * frames read in place. It answers pings, and it is no model of how to write a client.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const REQUEST_END = Buffer.from("\r\n\r\n");

export class Peer {
	readonly socket: Socket;
	readonly opened: Promise<unknown>;
	readonly #onText: (bytes: Buffer, end: number) => void;
	#rest: Buffer | undefined;
	#shaken = false;

	/** `onText` is told where a text message's payload ends in the bytes. */
	constructor(port: number, path: string, onText: (bytes: Buffer, end: number) => void) {
		this.#onText = onText;
		const socket = connect({ port, host: "127.0.0.1", noDelay: true });
		this.socket = socket;
		this.opened = once(socket, "shaken");
		socket.write(
			`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		);
		socket.on("data", (chunk) => this.#receive(chunk));
	}

	#receive(chunk: Buffer): void {
		let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
		this.#rest = undefined;
		if (!this.#shaken) {
			const end = bytes.indexOf(REQUEST_END);
			if (end < 0) {
				this.#rest = bytes;
				return;
			}
			if (!bytes.toString("latin1", 0, 12).endsWith(" 101")) {
				throw new Error(`the upgrade was refused: ${bytes.toString("latin1")}`);
			}
			this.#shaken = true;
			this.socket.emit("shaken");
			bytes = bytes.subarray(end + REQUEST_END.length);
		}
		this.#frames(bytes);
	}

	#frames(bytes: Buffer): void {
		let at = 0;
		while (bytes.length - at >= 2) {
			const short = bytes[at + 1]! & 0x7f;
			const head = short === 126 ? 4 : 2;
			if (bytes.length - at < head) {
				break;
			}
			const end = at + head + (short === 126 ? bytes.readUInt16BE(at + 2) : short);
			if (end > bytes.length) {
				break;
			}
			const opcode = bytes[at]! & 0x0f;
			if (opcode === 1) {
				this.#onText(bytes, end);
			} else if (opcode === 9) {
				this.socket.write(Buffer.concat([Buffer.from([0x8a, 0x80 | short, 0, 0, 0, 0]), bytes.subarray(at + 2, end)]));
			} else {
				throw new Error(`the server sent a frame with opcode ${opcode}: ${bytes.toString("latin1", at, end)}`);
			}
			at = end;
		}
		if (at < bytes.length) {
			// A copy: a few bytes must not hold a whole chunk.
			this.#rest = Buffer.from(bytes.subarray(at));
		}
	}
}
