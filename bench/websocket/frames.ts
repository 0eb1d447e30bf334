/** What the load client sends: handshake requests, and frames that were masked beforehand. */
import { constants, deflateRawSync } from "node:zlib";
import { frameLength, OPCODE, writeFrameHeader } from "@tidewire/websocket";

/** Not zero, which would make unmasking a copy. */
const KEY = 0x37fa213d;

export interface Message {
	readonly bytes: number;
	/** `utf8`: text in which one character in four is not ASCII. */
	readonly content: "text" | "binary" | "utf8";
	readonly compressed: boolean;
}

/** What a browser sends, from a page with a cookie. */
export function upgradeRequest(compressed: boolean): Buffer {
	const lines = [
		"GET /live HTTP/1.1",
		"Host: 127.0.0.1:8080",
		"Connection: Upgrade",
		"Pragma: no-cache",
		"Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"Upgrade: websocket",
		"Origin: http://127.0.0.1:8080",
		"Sec-WebSocket-Version: 13",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-GB,en;q=0.9",
		"Cookie: session=6f1d3c0e5a2b4f7e9d8c7b6a59483726",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		...(compressed ? ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] : []),
	];
	return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** `count` equal messages, each one frame of a client. */
export function framesOf(message: Message, count: number): Buffer {
	const payload = message.compressed ? deflated(contentOf(message)) : contentOf(message);
	const header = frameLength(payload.length) + 4;
	const frame = Buffer.alloc(header + payload.length);
	const opcode = message.content === "binary" ? OPCODE.binary : OPCODE.text;
	writeFrameHeader(frame, 0, opcode, payload.length, { key: KEY });
	if (message.compressed) {
		// RSV1 marks a compressed message (RFC 7692 §6).
		frame[0] = frame[0]! | 0x40;
	}
	for (let index = 0; index < payload.length; index++) {
		frame[header + index] = payload[index]! ^ ((KEY >>> (24 - 8 * (index & 3))) & 0xff);
	}
	return Buffer.concat(Array.from({ length: count }, () => frame));
}

/** The length of an uncompressed answer, for the client to check; 0 where it depends on the server's compressor. */
export function replyBytes(message: Message): number {
	return message.compressed ? 0 : contentOf(message).length;
}

/** Positions in JSON, in bytes from a generator, or in a text with umlauts and the like; the same in every run. */
function contentOf({ bytes, content, compressed }: Message): Buffer {
	const random = generator();
	if (content === "binary" && !compressed) {
		return Buffer.from(Uint8Array.from({ length: bytes }, () => random() & 0xff));
	}
	let text = "";
	while (text.length < bytes) {
		text +=
			content === "utf8"
				? "Straße zum Flugplatz, Ankunft fünf Minuten später; größere Stücke — später. "
				: `{"id":${random() % 1_000},"lat":${52 + (random() % 100_000) / 1e6},"lon":${13 + (random() % 100_000) / 1e6}},`;
	}
	const encoded = Buffer.from(text, "utf8").subarray(0, bytes);
	// A character that the cut left unfinished becomes spaces.
	for (let at = bytes - 1; content === "utf8" && at >= 0 && encoded[at]! >= 0x80; at--) {
		encoded[at] = 0x20;
	}
	return encoded;
}

/** RFC 7692 §7.2.1: without the four bytes that a flush ends with. */
function deflated(payload: Buffer): Buffer {
	return deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function generator(): () => number {
	let state = 42;
	return () => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return state >>> 8;
	};
}
