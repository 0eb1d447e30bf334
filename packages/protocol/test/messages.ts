/** Messages as fast-check draws them: every action and every reply, with all their optional fields. */
import fc from "fast-check";
import type { ClientMessage, ServerMessage } from "../src/index.ts";
import { channelNameProblem } from "../src/index.ts";

export const awkward = fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "toJSON", "then");

export const channelName = fc
	.oneof(awkward, fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }))
	.map((name) => name.normalize("NFC"))
	.filter((name) => channelNameProblem(name) === undefined);

/** At most 64 bytes, as an id has: one grapheme may take 25. */
const text = fc
	.oneof(awkward, fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }))
	.filter((drawn) => Buffer.byteLength(drawn) <= 64);
const id = fc.oneof(text, fc.maxSafeNat());
const position = fc
	.tuple(fc.stringMatching(/^[a-z0-9]{1,10}$/), fc.maxSafeNat())
	.map(([epoch, offset]) => `${epoch}:${offset}`);

/** Values that JSON holds, with hostile names; without -0, which JSON.stringify writes as 0. */
export const jsonValue = fc.letrec<{ value: unknown }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		fc.constantFrom(null, true, false),
		fc.string({ unit: "grapheme" }),
		fc.maxSafeInteger(),
		fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
		fc.array(tie("value"), { maxLength: 20 }),
		fc
			.array(fc.tuple(fc.oneof(awkward, fc.string()), tie("value")), { maxLength: 20 })
			.map((entries) => Object.fromEntries(entries)),
	),
})).value;

const optional = { requiredKeys: [] as [] };

/** What one side of a codec makes of a message, the other takes back. */
export const clientMessage: fc.Arbitrary<ClientMessage> = fc
	.tuple(
		fc.record({ id }, optional),
		fc.oneof(
			fc.record({ type: fc.constantFrom("auth" as const, "resume" as const), token: text }),
			fc
				.tuple(
					fc.oneof(
						fc.record({ channel: channelName, since: fc.option(position) }).map((target) => [target]),
						fc.uniqueArray(fc.record({ channel: channelName, since: fc.option(position) }), {
							selector: (target) => target.channel,
							minLength: 2,
							maxLength: 5,
						}),
					),
					fc.record(
						{
							rewind: fc.oneof(
								fc.record({ messages: fc.nat() }),
								fc.nat({ max: 999_999 }).map((seconds) => ({ seconds })),
							),
							presence: fc.record({ enter: fc.boolean(), watch: fc.boolean(), data: jsonValue }),
							policy: fc.constantFrom("catch-up" as const, "conflate" as const, "skip" as const, "disconnect" as const),
							durable: text,
						},
						optional,
					),
				)
				.map(([targets, rest]) => ({ type: "subscribe" as const, targets, many: targets.length > 1, ...rest })),
			fc.record({ type: fc.constant("unsubscribe" as const), channel: channelName }),
			fc
				.tuple(
					fc.record({ type: fc.constant("publish" as const), channel: channelName }),
					fc.oneof(fc.record({ data: fc.oneof(jsonValue, fc.uint8Array()) }), fc.record({ patch: jsonValue })),
					fc.record(
						{
							name: text,
							key: text,
							ttl: fc.integer({ min: 1, max: 1e9 }),
							at: fc.integer({ min: 1, max: 1e12 }),
							if: position,
							after: id,
							echo: fc.boolean(),
							exclude: text,
						},
						optional,
					),
				)
				.map(([publish, data, rest]) => ({ ...publish, ...data, ...rest })),
			fc.record(
				{
					type: fc.constant("history" as const),
					channel: channelName,
					since: position,
					limit: fc.integer({ min: 1 }),
					reverse: fc.boolean(),
				},
				{ requiredKeys: ["type", "channel"] },
			),
			fc.record(
				{ type: fc.constant("presence" as const), channel: channelName, data: jsonValue },
				{ requiredKeys: ["type", "channel"] },
			),
			fc.record({ type: fc.constant("received" as const), channel: channelName, position }),
			fc.record({ type: fc.constant("cancel" as const), of: id }),
			fc.record({ type: fc.constant("ping" as const) }),
			fc.record({
				type: fc.constant("call" as const),
				action: fc.oneof(awkward, fc.stringMatching(/^[a-z_]{1,12}$/)).filter((name) => !BUILT_IN.has(name)),
				input: jsonValue,
			}),
		),
	)
	.map(([answerable, message]) => ({ ...answerable, ...message }) as ClientMessage);

const BUILT_IN = new Set([
	...["auth", "resume", "subscribe", "unsubscribe", "publish", "history", "presence", "received", "cancel", "ping"],
]);

const error = fc.record(
	{
		code: fc.constantFrom("forbidden" as const, "rate_limited" as const, "invalid_data" as const),
		message: fc.string({ unit: "grapheme" }),
		retryable: fc.boolean(),
		retryAfter: fc.nat(),
		issues: fc.array(fc.record({ message: text, path: fc.array(fc.oneof(text, fc.nat())) })),
	},
	{ requiredKeys: ["code", "message"] },
);

export const serverMessage = fc.oneof(
	fc.record({
		hello: fc.record({
			version: fc.constant(1 as const),
			session: text,
			resume: text,
			heartbeat: fc.nat(),
			window: fc.nat(),
			durability: fc.constantFrom("memory" as const, "stored" as const, "replicated" as const),
			node: text,
		}),
	}),
	fc.record({
		channel: channelName,
		event: fc.constant("gap" as const),
		from: fc.nat(),
		to: fc.nat(),
		reason: fc.constant("slow" as const),
	}),
	fc.record({ channel: channelName, event: fc.constant("reset" as const), position }),
	fc.record({ channel: channelName, event: fc.constant("unsubscribed" as const), error }),
	fc.record({
		channel: channelName,
		event: fc.constant("join" as const),
		member: fc.record({ id: text, user: fc.option(text), data: jsonValue, since: fc.nat() }),
	}),
	fc.record({ channel: channelName, event: fc.constant("presence" as const), count: fc.nat() }),
	fc.record({ channel: channelName, offset: fc.maxSafeNat(), patch: jsonValue }),
	fc.record(
		{ ack: id, channel: channelName, position, recovered: fc.boolean(), data: jsonValue },
		{ requiredKeys: ["ack"] },
	),
	fc.record({ ack: id, error }),
	fc.record({ error }),
	fc.record({ reply: id, seq: fc.nat(), data: jsonValue }),
	fc.record({ reconnect: fc.record({ after: fc.nat(), reason: text }) }),
) as fc.Arbitrary<ServerMessage>;
