/** What every wire protocol keeps, whatever its bytes look like. Each codec's test runs this suite on itself. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClientCodec, ClientMessage, OutboundEntry, Payload, ServerCodec } from "../src/index.ts";
import { awkward, channelName, clientMessage, jsonValue, serverMessage } from "./messages.ts";
import { bytesOf, expectOnlyProtocolErrors, expectRefused, payloadOf, textOf } from "./speech.ts";

export interface CodecUnderTest {
	readonly server: ServerCodec;
	readonly client: ClientCodec;
	/** Whether its messages travel in text frames. */
	readonly text: boolean;
	/** A wire object as this protocol's bytes. */
	readonly pack: (value: unknown) => Uint8Array;
}

export function runCodecSuite(name: string, { server, client, text, pack }: CodecUnderTest): void {
	const decode = (value: unknown): ClientMessage<Payload> => server.decode(pack(value), text);
	const read = (payload: Uint8Array) => client.decode(text ? textOf(payload) : payload);

	describe(`${name}: from the client to the server`, () => {
		test("every message comes out as it went in", () => {
			fc.assert(
				fc.property(clientMessage, (message) => {
					const payload = client.encode(message);
					const bytes = typeof payload === "string" ? bytesOf(payload) : payload;
					expect(withoutPayload(server.decode(bytes, text))).toEqual(message);
				}),
			);
		});

		test("published JSON is handed on as text that parses to the value", () => {
			fc.assert(
				fc.property(jsonValue, (data) => {
					const message = decode({ action: "publish", channel: "c", data }) as { data: Payload };
					expect(message.data.encoding).toBe("json");
					expect(JSON.parse(textOf(message.data.bytes))).toEqual(message.data.value);
				}),
			);
		});

		test("published bytes are bytes", () => {
			fc.assert(
				fc.property(fc.uint8Array(), (data) => {
					const payload = client.encode({ type: "publish", channel: "c", data });
					const message = server.decode(typeof payload === "string" ? bytesOf(payload) : payload, text);
					expect(message).toEqual({
						type: "publish",
						channel: "c",
						data: { encoding: "binary", bytes: data, value: data },
					});
				}),
			);
		});

		test("data does not share memory with the frame, which the transport may use again", () => {
			const frame = pack({ action: "publish", channel: "c", data: { secret: "first" } });
			const message = server.decode(frame, text) as { data: Payload };
			frame.fill(0);
			expect(textOf(message.data.bytes)).toBe('{"secret":"first"}');
			expect(message.data.bytes.buffer.byteLength).toBe(message.data.bytes.length);
		});

		test("S20 any value in any place of a message is answered or refused, nothing else", () => {
			const fields = ["id", "channel", "channels", "since", "rewind", "presence", "policy", "durable", "data", "patch"];
			const more = ["name", "key", "ttl", "at", "if", "after", "echo", "exclude", "report", "limit", "of", "token"];
			const actions = ["auth", "resume", "subscribe", "unsubscribe", "publish", "history", "presence", "received"];
			fc.assert(
				fc.property(
					fc.oneof(fc.constantFrom(...actions, "cancel", "ping", "mine"), jsonValue),
					fc.dictionary(fc.constantFrom(...fields, ...more, "position", "encoding", "reverse", "input"), jsonValue),
					(action, rest) => {
						expectOnlyProtocolErrors(() => decode({ channel: "c", action, ...rest }));
					},
				),
				{ numRuns: 500 },
			);
		});

		test("arbitrary bytes, in either kind of frame, are refused with a ProtocolError at worst", () => {
			fc.assert(
				fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, isText) => {
					expectOnlyProtocolErrors(() => server.decode(bytes, isText));
				}),
				{ numRuns: 1_000 },
			);
		});

		test("a message cut off anywhere is refused with a ProtocolError at worst", () => {
			const whole = pack({ id: 1, action: "publish", channel: "größe", data: { a: [1.5, "é", null, { b: -3 }] } });
			for (let length = 0; length < whole.length; length++) {
				expectOnlyProtocolErrors(() => server.decode(whole.subarray(0, length), text));
			}
		});

		test("S18 names of Object.prototype are names", () => {
			for (const hostile of ["__proto__", "constructor", "toString", "hasOwnProperty", "toJSON"]) {
				const named = JSON.parse(`{"${hostile}":{"polluted":1}}`) as object;
				expect(decode({ action: "publish", channel: hostile, key: hostile, name: hostile, data: named })).toMatchObject(
					{
						channel: hostile,
						key: hostile,
						name: hostile,
						data: { bytes: bytesOf(`{"${hostile}":{"polluted":1}}`) },
					},
				);
				const call = decode(JSON.parse(`{"action":"${hostile}","${hostile}":{"polluted":1}}`)) as { input: object };
				expect(Object.keys(call.input)).toEqual([hostile]);
				expect(Object.getPrototypeOf(call.input)).toBe(Object.prototype);
				const many = decode({ action: "subscribe", channels: JSON.parse(`{"${hostile}":"e:1"}`) as object });
				expect(many).toMatchObject({ targets: [{ channel: hostile, since: "e:1" }] });
			}
			expect(({} as { polluted?: number }).polluted).toBeUndefined();
		});

		if (server.enveloped) {
			test("S18 what a polluted Object.prototype would lend is not taken for a field", () => {
				const frame = pack({ id: 1, channel: "c" });
				Object.defineProperty(Object.prototype, "action", { value: "unsubscribe", configurable: true, writable: true });
				try {
					expectRefused(() => server.decode(frame, text), "bad_request", "`action` is missing", 1);
				} finally {
					Reflect.deleteProperty(Object.prototype, "action");
				}
			});
		}

		test("S19 nesting of 512 levels is read, of 513 and of 4,000 refused", () => {
			const nested = (levels: number): Uint8Array => {
				let value: unknown = 1;
				for (let level = 0; level < levels; level++) {
					value = [value];
				}
				return pack({ action: "publish", channel: "c", data: value });
			};
			expect(server.decode(nested(511), text)).toMatchObject({ type: "publish" });
			expectRefused(() => server.decode(nested(512), text), "bad_request", "nests deeper than 512 levels");
			expectRefused(() => server.decode(nested(4_000), text), "bad_request", "nests deeper than 512 levels");
		});

		test("S21 101 channels in one subscribe are refused, 100 are not", () => {
			const channels = (count: number) =>
				Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${index}`, null]));
			expect(decode({ id: 1, action: "subscribe", channels: channels(100) })).toMatchObject({ many: true });
			expectRefused(
				() => decode({ id: 1, action: "subscribe", channels: channels(101) }),
				"bad_request",
				"`channels` has 101 names, it must have 1 to 100",
				1,
			);
		});
	});

	describe(`${name}: from the server to the client`, () => {
		test("every message but channel messages comes out as it went in", () => {
			fc.assert(
				fc.property(serverMessage, (message) => {
					expect(read(payloadOf(server.encode(message)))).toEqual(message);
				}),
			);
		});

		test("a frame's kind says text or binary", () => {
			expect(server.encode({ ack: 1 }).binary).toBe(!text);
		});

		test("a reply to history carries its entries' fields and data", () => {
			fc.assert(
				fc.property(fc.array(entry, { maxLength: 5 }), (entries) => {
					const reply = read(payloadOf(server.encodeHistory({ ack: 5, position: "e:9" }, entries)));
					expect(reply).toEqual({ ack: 5, position: "e:9", messages: entries.map(received) });
				}),
			);
		});

		if (server.enveloped) {
			test("a channel message carries its entry's fields and data", () => {
				fc.assert(
					fc.property(channelName, entry, (channel, one) => {
						expect(read(payloadOf(server.encodeEntry(channel, one)))).toEqual({ channel, ...received(one) });
					}),
				);
			});
		}

		test("S19 data of 100,000 levels, published by the application, is encoded without a fall", () => {
			const data = bytesOf("[".repeat(100_000) + "]".repeat(100_000));
			expect(payloadOf(server.encodeEntry("c", { offset: 1, data, encoding: "json" })).length).toBeGreaterThan(100_000);
		});

		test("S45 what is no server message is refused with a ProtocolError", () => {
			const bad: unknown[] = [
				...[null, 1, "ack", [], {}, { ack: null }, { ack: -1 }, { ack: 1.5 }, { ack: {} }, { error: "no" }],
				...[{ ack: 1, error: { code: 5, message: "" } }, { channel: "c" }, { channel: 5, offset: 1, data: 1 }],
				...[
					{ channel: "c", offset: "1", data: 1 },
					{ channel: "c", offset: -1, data: 1 },
					{ channel: "c", offset: 1 },
				],
				...[{ channel: "c", event: "gap", from: "1", to: 2 }, { channel: "c", event: "reset" }, { reply: 1 }],
				...[{ hello: 1 }, { reconnect: {} }, { report: {} }, { channel: "c", event: 5 }],
			];
			for (const value of bad) {
				const payload = pack(value);
				expectRefused(() => client.decode(text ? textOf(payload) : payload), "bad_request");
			}
			expectRefused(() => client.decode(text ? new Uint8Array() : ""), "bad_request");
		});

		test("S45 arbitrary payloads are refused with a ProtocolError at worst", () => {
			fc.assert(
				fc.property(fc.oneof(fc.uint8Array(), fc.string(), fc.json()), (payload) => {
					expectOnlyProtocolErrors(() => client.decode(payload));
				}),
			);
			fc.assert(
				fc.property(jsonValue, (value) => {
					expectOnlyProtocolErrors(() => read(pack(value)));
				}),
			);
		});

		test("fields and events that this version does not know pass", () => {
			expect(read(pack({ ack: 1, later: true }))).toEqual({ ack: 1, later: true });
			expect(read(pack({ channel: "c", event: "later" }))).toEqual({ channel: "c", event: "later" });
		});
	});
}

const entry: fc.Arbitrary<OutboundEntry> = fc
	.tuple(
		fc.record(
			{
				offset: fc.maxSafeNat(),
				previous: fc.maxSafeNat(),
				name: fc.oneof(awkward, fc.string({ unit: "grapheme" })),
				key: fc.string({ unit: "grapheme" }),
				from: fc.string({ unit: "grapheme" }),
			},
			{ requiredKeys: ["offset"] },
		),
		fc.oneof(
			jsonValue.map((value) => ({ encoding: "json" as const, data: bytesOf(JSON.stringify(value)) })),
			jsonValue.map((value) => ({
				encoding: "json" as const,
				data: bytesOf(JSON.stringify(value)),
				patch: true as const,
			})),
			fc.uint8Array().map((data) => ({ encoding: "binary" as const, data })),
		),
	)
	.map(([fields, data]) => ({ ...fields, ...data }));

/** A state channel's patch travels as `patch`, everything else as `data`. */
function received({ previous, data, encoding, patch, ...fields }: OutboundEntry): object {
	return {
		...fields,
		...(previous !== undefined && { prev: previous }),
		[patch ? "patch" : "data"]: encoding === "json" ? (JSON.parse(textOf(data)) as unknown) : data,
	};
}

/** The message with the value that was published instead of what it was read into. */
function withoutPayload(message: ClientMessage<Payload>): ClientMessage {
	return message.type === "publish" && message.data !== undefined ? { ...message, data: message.data.value } : message;
}
