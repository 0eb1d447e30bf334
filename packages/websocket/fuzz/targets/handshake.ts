/**
 * Any text, as the head of a request or of a response or as Sec-WebSocket-Extensions. The first byte of an input chooses
 * which, and what is wanted of compression.
 *
 * Promised: nothing is thrown; refusals have a status that HTTP gives them; what we answer can be read and is accepted
 * by our own other half; what is agreed on is within what was asked for.
 */

import { parseRequestHead } from "../../src/handshake/head.ts";
import {
	acceptUpgrade,
	type DeflateParameters,
	formatResponse,
	parseResponseHead,
	resolveCompression,
	verifyUpgrade,
} from "../../src/index.ts";
import { sha1Base64 } from "../../src/node/index.ts";
import { promise } from "../finding.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = sha1Base64(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);

export function fuzz(input: Uint8Array): void {
	const settings = input[0] ?? 0;
	const text = Buffer.from(input.subarray(1)).toString("latin1");
	const compression = resolveCompression({
		serverNoContextTakeover: (settings & 0x04) !== 0,
		clientNoContextTakeover: (settings & 0x08) !== 0,
		serverMaxWindowBits: 8 + ((settings >>> 4) & 0x07),
		...((settings & 0x80) === 0 ? {} : { clientMaxWindowBits: 10 }),
	});
	switch (settings & 0x03) {
		case 0:
			request(text, compression);
			break;
		case 1:
			response(text, compression);
			break;
		case 2:
			offer(text, compression);
			break;
		default:
			answer(text, compression);
	}
}

type Compression = ReturnType<typeof resolveCompression>;

function request(text: string, compression: Compression): void {
	const head = parseRequestHead(text);
	if ("reason" in head) {
		promise([400, 431, 505].includes(head.status), `status ${head.status}`);
		return;
	}
	accept(head, compression);
}

function accept(head: Parameters<typeof acceptUpgrade>[0], compression: Compression): void {
	const upgrade = acceptUpgrade(head, { sha1: sha1Base64, compression, protocols: (offered) => offered[0] });
	const { status } = upgrade;
	promise(upgrade.ok ? status === 101 : [400, 405, 426].includes(status), `status ${status}`);
	const written = formatResponse(status, upgrade.headers);
	const read = parseResponseHead(written.slice(0, written.indexOf("\r\n\r\n")));
	promise(read?.status === status, "our answer cannot be read");
	if (upgrade.ok && upgrade.compression !== undefined) {
		withinRange(upgrade.compression);
		promise(upgrade.compression.serverMaxWindowBits <= compression.serverMaxWindowBits, "a larger window than ours");
	}
}

function response(text: string, compression: Compression): void {
	const head = parseResponseHead(text);
	if (head !== undefined) {
		verify(head, compression);
	}
}

function verify(head: Parameters<typeof verifyUpgrade>[0], compression: Compression): void {
	const verdict = verifyUpgrade(head, { key: KEY, sha1: sha1Base64, protocols: ["chat"], compression });
	promise(verdict.ok || verdict.reason.length > 0, "a refusal without a reason");
	if (verdict.ok && verdict.compression !== undefined) {
		withinRange(verdict.compression);
		const { compression: agreed } = verdict;
		promise(agreed.serverMaxWindowBits <= compression.serverMaxWindowBits, "a larger window than was asked for");
		promise(agreed.serverNoContextTakeover || !compression.serverNoContextTakeover, "takeover that was asked away");
	}
}

/** A client's Sec-WebSocket-Extensions in an upgrade that is right otherwise. */
function offer(text: string, compression: Compression): void {
	accept(
		{
			method: "GET",
			httpVersion: "1.1",
			headers: {
				host: "localhost",
				upgrade: "websocket",
				connection: "Upgrade",
				"sec-websocket-key": KEY,
				"sec-websocket-version": "13",
				"sec-websocket-extensions": text,
			},
		},
		compression,
	);
}

/** A server's. */
function answer(text: string, compression: Compression): void {
	const headers = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": ACCEPT };
	verify({ status: 101, headers: { ...headers, "sec-websocket-extensions": text } }, compression);
}

function withinRange({ serverMaxWindowBits, clientMaxWindowBits }: DeflateParameters): void {
	for (const bits of [serverMaxWindowBits, clientMaxWindowBits]) {
		promise(Number.isInteger(bits) && bits >= 8 && bits <= 15, `a window of ${bits} bits`);
	}
}
