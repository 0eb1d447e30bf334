import specs from "@asyncapi/specs";
import { ERROR_CODES } from "@tidewire/protocol";
import { Ajv, type ValidateFunction } from "ajv";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type AsyncApiDocument, asyncapi } from "../src/asyncapi.ts";
import { WIRE_ERROR_CODES } from "../src/envelope-schema.ts";
import { action, binary, type Contract, channel, contract, type Schema } from "../src/index.ts";

interface Place {
	readonly name: string;
	readonly inside: Place[];
}
const Place: z.ZodType<Place> = z.object({
	name: z.string(),
	get inside() {
		return z.array(Place);
	},
});

const delivery = contract({
	channels: {
		"order_{orderId}": channel({
			description: "Where the driver is.",
			data: z.object({ lat: z.number(), lng: z.number(), eta: z.string().default("unknown") }),
			history: { messages: 500, age: "1h" },
			slow: "conflate",
			slowChoices: ["catch-up"],
			maxMessageBytes: 4_096,
		}),
		"chat:{room}/{thread}": channel({ data: type({ text: "string" }), history: false }),
		"places.{region}": channel({ data: Place }),
		lobby: channel(),
		frames: channel({ data: binary() }),
		notes: channel({ data: v.object({ text: v.string() }) }),
	},
	actions: {
		contact_driver: action({
			description: "Say something to the driver.",
			input: z.object({ message: z.string().max(500) }),
			output: z.object({ at: z.number() }),
		}),
		count: action({ input: z.object({ to: z.int() }), stream: z.int() }),
		ring: action(),
	},
});

const document = asyncapi(delivery, {
	title: "Delivery",
	version: "1.2.0",
	description: "Deliveries, live.",
	servers: { production: "wss://api.example.com/connect", local: "ws://127.0.0.1:7400/connect" },
});

/** Problems by AsyncAPI's own schema; none where the document is right. */
function problemsOf(candidate: AsyncApiDocument): unknown {
	// AsyncAPI's schema brings draft-07's own along, so ajv's copy of it would be one too many.
	const ajv = new Ajv({ strict: false, meta: false, validateSchema: false, validateFormats: false });
	const check = ajv.compile(specs.schemas["3.0.0"] as object);
	return check(candidate) ? undefined : check.errors;
}

function resolve(root: unknown, pointer: string): unknown {
	return pointer
		.slice(2)
		.split("/")
		.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], root);
}

/** All references, wherever they stand. */
function referencesIn(value: unknown): readonly string[] {
	if (typeof value !== "object" || value === null) {
		return [];
	}
	const own = "$ref" in value && typeof value.$ref === "string" ? [value.$ref] : [];
	return [...own, ...Object.values(value).flatMap(referencesIn)];
}

const payloads = new Ajv({ strict: false }).addSchema(document, "doc:");

/** The check of a message's payload; `pointer` is "channel message". */
function payload(pointer: string): ValidateFunction {
	const [channelId, message] = pointer.split(" ");
	return payloads.compile({ $ref: `doc:#/channels/${channelId}/messages/${message}/payload` });
}

describe("the AsyncAPI document of a contract", () => {
	it("is valid by AsyncAPI 3.0's own schema", () => {
		expect(problemsOf(document)).toBeUndefined();
		expect(problemsOf(asyncapi(contract({}), { title: "Empty", version: "0" }))).toBeUndefined();
		// The check does find what is wrong.
		const wrong = { ...document, operations: { a: { action: "publish", channel: { $ref: "#/channels/lobby" } } } };
		expect(problemsOf(wrong)).toBeDefined();
	});

	it("is plain data", () => {
		expect(JSON.parse(JSON.stringify(document))).toEqual(document);
	});

	it("refers to nothing that is not there", () => {
		const references = referencesIn(document);
		expect(references.length).toBeGreaterThan(50);
		for (const reference of references) {
			expect(resolve(document, reference), reference).toBeDefined();
		}
	});

	it("gives each channel its address, parameters and policies", () => {
		expect(document.channels.order_orderId).toMatchObject({
			address: "order_{orderId}",
			description: "Where the driver is.",
			parameters: { orderId: {} },
			"x-tidewire-history": { messages: 500, bytes: 1_048_576, ageSeconds: 3_600 },
			"x-tidewire-slow": "conflate",
			"x-tidewire-slow-choices": ["conflate", "catch-up"],
			"x-tidewire-max-message-bytes": 4_096,
		});
		expect(document.channels.lobby).not.toHaveProperty("parameters");
		expect(document.channels.chat_room_thread).toMatchObject({ "x-tidewire-history": false });
	});

	it("describes the value, the patches and the bounds of a state channel", () => {
		const board = asyncapi(
			contract({ channels: { board: channel({ state: true, data: z.object({ n: z.number() }) }) } }),
			{
				title: "Board",
				version: "1",
			},
		);
		expect(problemsOf(board)).toBeUndefined();
		expect(board.channels.board).toMatchObject({
			messages: { state: {}, patch: {}, change: {} },
			"x-tidewire-state": { maxBytes: 262_144, maxKeys: 10_000 },
		});
		expect(board.operations["board.change"]).toMatchObject({ action: "receive" });
		expect(document.channels.lobby).not.toHaveProperty("x-tidewire-state");
		expect(document.operations).not.toHaveProperty("lobby.change");
	});

	it("has the server send messages, and receive publications, with their replies", () => {
		expect(document.operations["lobby.deliver"]).toMatchObject({ action: "send" });
		expect(document.operations["lobby.publish"]).toMatchObject({
			action: "receive",
			messages: [{ $ref: "#/channels/lobby/messages/publish" }],
			reply: {
				messages: [{ $ref: "#/channels/lobby/messages/published" }, { $ref: "#/channels/lobby/messages/failed" }],
			},
		});
	});

	it("makes an action a request with its reply, and a streaming one with its items", () => {
		expect(document.operations["action.contact_driver.call"]).toMatchObject({ action: "receive", reply: {} });
		expect(document.operations["action.count.call"]?.reply).toMatchObject({
			messages: [{}, { $ref: "#/channels/action.count/messages/item" }, {}],
		});
		expect(document.channels["action.ring"]).not.toHaveProperty("messages.item");
	});

	it("splits a server's URL as AsyncAPI wants it, and refuses one that is no WebSocket's", () => {
		expect(document.servers?.local).toEqual({ host: "127.0.0.1:7400", pathname: "/connect", protocol: "ws" });
		for (const url of ["https://api.example.com", "api.example.com"]) {
			expect(() => asyncapi(delivery, { title: "t", version: "1", servers: { bad: url } })).toThrow("ws: or wss: URL");
		}
	});

	it("keeps names apart that differ only in signs", () => {
		const alike = contract({ channels: { "a:b": channel(), "a/b": channel(), a_b: channel() } });
		const described = asyncapi(alike, { title: "Alike", version: "1" });
		expect(Object.values(described.channels).map(({ address }) => address)).toEqual(["a:b", "a/b", "a_b"]);
		expect(Object.keys(described.operations)).toHaveLength(9);
	});
});

describe("the messages in it are those of PROTOCOL.md", () => {
	const order = { lat: 40.7128, lng: -74.006, eta: "3 minutes" };
	it.each([
		["order_orderId message", { channel: "order_123", offset: 42, data: order }],
		["order_orderId event", { channel: "order_123", event: "gap", from: 43, to: 57, reason: "slow" }],
		["order_orderId event", { channel: "order_123", event: "conflated", from: 43, to: 57 }],
		["order_orderId event", { channel: "order_123", event: "reset", position: "p2x1:0" }],
		["order_orderId subscribe", { id: 2, action: "subscribe", channel: "order_123", since: "k3f9:41", rewind: "2m" }],
		["order_orderId subscribed", { ack: 2, channel: "order_123", position: "k3f9:41", recovered: true }],
		["order_orderId publish", { id: 4, action: "publish", channel: "order_123", data: { lat: 1, lng: 2 } }],
		["order_orderId published", { ack: 4, position: "k3f9:42" }],
		[
			"order_orderId failed",
			{ ack: 4, error: { code: "rate_limited", message: "…", retryable: true, retryAfter: 1.5 } },
		],
		["lobby message", { channel: "lobby", offset: 1, data: "aGk=", encoding: "base64" }],
		["frames message", { channel: "frames", offset: 1, data: "aGk=", encoding: "base64" }],
		["frames publish", { action: "publish", channel: "frames", data: "aGk=", encoding: "base64" }],
		["lobby event", { channel: "lobby", event: "join", member: { id: "m1", user: null, since: 1 } }],
		["chat_room_thread message", { channel: "chat:a/b", offset: 1, data: { text: "hi" } }],
		["notes message", { channel: "notes", offset: 1, data: { text: "hi" } }],
		[
			"places.region message",
			{ channel: "places.eu", offset: 1, data: { name: "a", inside: [{ name: "b", inside: [] }] } },
		],
		["action.contact_driver call", { id: "msg_123", action: "contact_driver", message: "I'm waiting outside" }],
		["action.contact_driver call", { id: "msg_123", action: "contact_driver", input: { message: "I'm waiting" } }],
		["action.contact_driver reply", { ack: "msg_123", data: { at: 1 } }],
		["action.contact_driver failed", { ack: "msg_123", error: { code: "invalid_data", message: "…", issues: [] } }],
		["action.ring reply", { ack: "msg_123" }],
		["action.count item", { reply: "msg_123", seq: 0, data: 1 }],
	])("%s: %j, and no other message of its channel", (pointer, message) => {
		const [channelId, key] = pointer.split(" ");
		const keys = Object.keys(document.channels[channelId!]!.messages as object);
		expect(keys.filter((other) => payload(`${channelId} ${other}`)(message))).toEqual([key]);
	});

	it.each([
		["order_orderId message", { channel: "order_123", offset: 42, data: { lat: 1, lng: 2 } }],
		["order_orderId message", { channel: "order_1:2", offset: 42, data: order }],
		["order_orderId publish", { action: "publish", channel: "order_123", data: { lat: "1", lng: 2 } }],
		["order_orderId event", { channel: "order_123", event: "gap", from: 43, to: 57, reason: "bored" }],
		["places.region message", { channel: "places.eu", offset: 1, data: { name: "a", inside: [{ name: 1 }] } }],
		["frames message", { channel: "frames", offset: 1, data: "aGk=" }],
		["frames publish", { action: "publish", channel: "frames", data: { a: 1 } }],
		["action.contact_driver reply", { ack: "msg_123" }],
		["action.contact_driver call", { action: "contact_driver", input: { message: "x".repeat(501) } }],
	])("%s is not %j", (pointer, message) => {
		expect(payload(pointer)(message)).toBe(false);
	});

	it("with the error codes of the protocol's own table", () => {
		expect(WIRE_ERROR_CODES).toEqual(Object.keys(ERROR_CODES));
	});
});

describe("a schema in it", () => {
	const dataOf = (data: Schema, side: "input" | "output"): unknown => {
		const one: Contract = contract({ channels: { one: channel({ data }) } });
		return asyncapi(one, { title: "One", version: "1" }).components.schemas[`one.${side}`];
	};

	it("is the input where clients publish and the output where they subscribe", () => {
		const data = z.object({ eta: z.string().default("unknown") });
		expect(dataOf(data, "input")).not.toHaveProperty("required");
		expect(dataOf(data, "output")).toMatchObject({ required: ["eta"] });
	});

	it("that a validator cannot export says so, and allows anything", () => {
		expect(dataOf(v.string(), "input")).toEqual({
			description: expect.stringContaining("valibot exports no JSON Schema"),
		});
		expect(dataOf(z.string().transform(Number), "output")).toEqual({
			description: expect.stringContaining("zod cannot express its output"),
		});
	});

	it("keeps its own references, and its data that only looks like one", () => {
		const exported = {
			$schema: "http://json-schema.org/draft-07/schema#",
			$id: "https://example.com/tree",
			properties: { $ref: { $ref: "#" }, const: { $ref: "#/definitions/leaf" }, kept: { const: { $ref: "#" } } },
			items: [{ $ref: "#/definitions/leaf" }],
			definitions: { leaf: { type: "string" } },
		};
		const converter = { input: () => exported, output: () => exported };
		const validator = { version: 1, vendor: "own", validate: () => ({ value: 1 }), jsonSchema: converter };
		expect(dataOf({ "~standard": validator } as unknown as Schema, "input")).toEqual({
			properties: {
				$ref: { $ref: "#/components/schemas/one.input" },
				const: { $ref: "#/components/schemas/one.input/definitions/leaf" },
				kept: { const: { $ref: "#" } },
			},
			items: [{ $ref: "#/components/schemas/one.input/definitions/leaf" }],
			definitions: { leaf: { type: "string" } },
		});
	});
});
