/** HTTP/2 frames as an attacker sends them: one write, no client library that would tidy it (RFC 9113 §4, RFC 7541). */

const HEADERS = 0x1;
export const RST_STREAM = 0x3;
const SETTINGS = 0x4;
export const GOAWAY = 0x7;
const END_HEADERS = 0x4;
const CANCEL = 0x8;

/** §3.4: what a client's connection begins with. */
export const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0, "")]);

function frame(type: number, flags: number, stream: number, payload: string | Uint8Array): Buffer {
	const body = Buffer.from(payload);
	const header = Buffer.alloc(9);
	header.writeUIntBE(body.length, 0, 3);
	header.writeUInt8(type, 3);
	header.writeUInt8(flags, 4);
	header.writeUInt32BE(stream, 5);
	return Buffer.concat([header, body]);
}

/** An extended CONNECT. Fields are literals that nobody indexes (RFC 7541 §6.2.2), each shorter than 127 bytes. */
export function connectFrame(stream: number, path: string): Buffer {
	const fields = Object.entries({
		":method": "CONNECT",
		":protocol": "websocket",
		":scheme": "http",
		":authority": "server.example.com",
		":path": path,
		"sec-websocket-version": "13",
	});
	const block = fields.flatMap(([name, value]) => [
		Buffer.from([0, name.length]),
		Buffer.from(name),
		Buffer.from([value.length]),
		Buffer.from(value),
	]);
	return frame(HEADERS, END_HEADERS, stream, Buffer.concat(block));
}

export function resetFrame(stream: number): Buffer {
	return frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, CANCEL]));
}

/** The types of the frames in a server's bytes, in order. */
export function frameTypes(bytes: Buffer): readonly number[] {
	const types: number[] = [];
	for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
		types.push(bytes.readUInt8(at + 3));
	}
	return types;
}
