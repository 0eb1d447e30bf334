/**
 * The AsyncAPI 3.0 document of a contract, from the server's side: it sends channel messages, and receives
 * subscriptions, publications and calls of actions, in the envelopes of the subprotocol tidewire.v1.json.
 *
 * Each channel of the contract is a channel of the document; so is each action, with an unknown address, since calls
 * and replies travel on the connection itself. What the contract does not know stays out: who may do what, and the
 * connection's own messages (hello, auth, resume, ping and so on).
 */
import type { Contract } from "./contract.ts";
import { ContractError } from "./contract-error.ts";
import type { ActionDeclaration, ChannelDeclaration, MaybeSchema } from "./declaration.ts";
import {
	callEnvelope,
	changeEnvelope,
	eventEnvelope,
	FAILED,
	itemEnvelope,
	messageEnvelope,
	PUBLISHED,
	patchEnvelope,
	publishEnvelope,
	replyEnvelope,
	SHARED_SCHEMAS,
	stateEnvelope,
	subscribedEnvelope,
	subscribeEnvelope,
} from "./envelope-schema.ts";
import { acceptsAbsence, type JsonObject, jsonSchemaOf } from "./json-schema.ts";
import { compilePattern, type Pattern } from "./pattern.ts";

export interface AsyncApiInfo {
	readonly title: string;
	/** The version of your API, not of AsyncAPI or Tidewire. */
	readonly version: string;
	readonly description?: string;
	/** WebSocket URLs by name: `{ production: "wss://api.example.com/connect" }`. */
	readonly servers?: Readonly<Record<string, string>>;
}

/** Plain data, ready for `JSON.stringify`. */
export interface AsyncApiDocument {
	readonly asyncapi: "3.0.0";
	readonly info: JsonObject;
	readonly defaultContentType: "application/json";
	readonly servers?: Readonly<Record<string, JsonObject>>;
	readonly channels: Readonly<Record<string, JsonObject>>;
	readonly operations: Readonly<Record<string, JsonObject>>;
	readonly components: { readonly schemas: Readonly<Record<string, JsonObject>> };
}

const ABOUT =
	"Messages have the shape that clients of the WebSocket subprotocol tidewire.v1.json see; a client that offers no " +
	"subprotocol gets the bare `data` of channel messages. A message with an `id` is answered under it. Who may " +
	"subscribe, publish and call is the server's to say, and not part of this document.";

/** Throws `ContractError` (`bad_option`) for a server URL that is not ws: or wss:. */
export function asyncapi(contract: Contract, info: AsyncApiInfo): AsyncApiDocument {
	const document: Draft = { channels: {}, operations: {}, schemas: { ...(SHARED_SCHEMAS as Draft["schemas"]) } };
	for (const [source, declaration] of Object.entries(contract.channels)) {
		describeChannel(document, compilePattern(source), declaration);
	}
	for (const [name, declaration] of Object.entries(contract.actions)) {
		describeAction(document, name, declaration);
	}
	return {
		asyncapi: "3.0.0",
		info: {
			title: info.title,
			version: info.version,
			description: info.description === undefined ? ABOUT : `${info.description}\n\n${ABOUT}`,
		},
		defaultContentType: "application/json",
		...(info.servers === undefined ? {} : { servers: describeServers(info.servers) }),
		channels: document.channels,
		operations: document.operations,
		components: { schemas: document.schemas },
	};
}

interface Draft {
	readonly channels: Record<string, JsonObject>;
	readonly operations: Record<string, JsonObject>;
	readonly schemas: Record<string, JsonObject>;
}

function describeServers(servers: Readonly<Record<string, string>>): Record<string, JsonObject> {
	const described = Object.entries(servers).map(([name, text]): [string, JsonObject] => {
		const url = URL.canParse(text) ? new URL(text) : undefined;
		if (url?.protocol !== "ws:" && url?.protocol !== "wss:") {
			throw new ContractError(
				"bad_option",
				`server "${name}" is ${JSON.stringify(text)}, but must be a ws: or wss: URL`,
			);
		}
		return [name, { host: url.host, pathname: url.pathname, protocol: url.protocol.slice(0, -1) }];
	});
	return Object.fromEntries(described);
}

function describeChannel(document: Draft, pattern: Pattern, declaration: ChannelDeclaration): void {
	const id = freshId(document.channels, pattern.source);
	const name = { type: "string", pattern: nameExpression(pattern) };
	const { state } = declaration;
	const encoding = state === undefined ? declaration.encoding : "json";
	const published = placeSchema(document, `${id}.input`, declaration.data, "input") ?? {};
	const delivered = placeSchema(document, `${id}.output`, declaration.data, "output") ?? {};
	document.channels[id] = {
		address: pattern.source,
		...(declaration.description === undefined ? {} : { description: declaration.description }),
		...(pattern.parameters.length === 0 ? {} : { parameters: describeParameters(pattern) }),
		messages: {
			message: { summary: "A channel message.", payload: messageEnvelope(name, delivered, encoding) },
			...(state && {
				state: { summary: "The whole value, and where it stands.", payload: stateEnvelope(name, delivered) },
				patch: { summary: "A change of the value (RFC 7396).", payload: patchEnvelope(name) },
			}),
			event: { summary: "What happened to the subscription.", payload: eventEnvelope(name) },
			subscribe: request("Start to receive the channel.", subscribeEnvelope(name)),
			subscribed: answer("From where messages follow.", subscribedEnvelope(name)),
			publish: request("Publish to the channel.", publishEnvelope(name, published, encoding)),
			...(state && { change: request("Change the value by a patch (RFC 7396).", changeEnvelope(name)) }),
			published: answer("Where the message stands in the channel.", PUBLISHED),
			failed: answer("Why it failed.", FAILED),
		},
		"x-tidewire-history": describeHistory(declaration),
		"x-tidewire-slow": declaration.slow,
		...(declaration.slowChoices.length > 1 && { "x-tidewire-slow-choices": declaration.slowChoices }),
		...(state && { "x-tidewire-state": { ...state } }),
		...describeLimit(declaration.maxMessageBytes),
	};
	document.operations[`${id}.deliver`] = operation("send", id, [
		"message",
		...(state ? ["state", "patch"] : []),
		"event",
	]);
	document.operations[`${id}.subscribe`] = operation("receive", id, ["subscribe"], ["subscribed", "failed"]);
	document.operations[`${id}.publish`] = operation("receive", id, ["publish"], ["published", "failed"]);
	if (state) {
		document.operations[`${id}.change`] = operation("receive", id, ["change"], ["published", "failed"]);
	}
}

function describeAction(document: Draft, name: string, declaration: ActionDeclaration): void {
	const id = freshId(document.channels, `action.${name}`);
	const { input, output, stream } = declaration;
	const item = placeSchema(document, `${id}.item`, stream, "output");
	const inputSchema = placeSchema(document, `${id}.input`, input, "input");
	const outputSchema = placeSchema(document, `${id}.output`, output, "output");
	const mustCarryData = output !== undefined && !acceptsAbsence(output);
	document.channels[id] = {
		address: null,
		title: name,
		...(declaration.description === undefined ? {} : { description: declaration.description }),
		messages: {
			call: request(
				`Call ${name}.`,
				callEnvelope(name, inputSchema),
				inputSchema && "Where `input` is absent, all fields other than `id` and `action` are the input.",
			),
			reply: answer("It is done.", replyEnvelope(outputSchema, mustCarryData)),
			...(item === undefined
				? {}
				: {
						item: {
							...answer("One item of the reply; `seq` counts from 0, and the reply ends it.", itemEnvelope(item)),
							correlationId: { location: "$message.payload#/reply" },
						},
					}),
			failed: answer("Why it failed.", FAILED),
		},
		...describeLimit(declaration.maxMessageBytes),
	};
	const replies = ["reply", ...(item === undefined ? [] : ["item"]), "failed"];
	document.operations[`${id}.call`] = operation("receive", id, ["call"], replies);
}

function describeParameters(pattern: Pattern): JsonObject {
	const description = "One character or more, none of : / and dot.";
	return Object.fromEntries(pattern.parameters.map((parameter) => [parameter, { description }]));
}

function describeHistory({ history }: ChannelDeclaration): JsonObject | false {
	return history && { messages: history.messages, bytes: history.bytes, ageSeconds: history.ageMs / 1_000 };
}

function describeLimit(maxMessageBytes: number | undefined): JsonObject {
	return maxMessageBytes === undefined ? {} : { "x-tidewire-max-message-bytes": maxMessageBytes };
}

function request(summary: string, payload: JsonObject, description?: string): JsonObject {
	const correlationId = { location: "$message.payload#/id" };
	return { summary, ...(description === undefined ? {} : { description }), correlationId, payload };
}

function answer(summary: string, payload: JsonObject): JsonObject {
	return { summary, correlationId: { location: "$message.payload#/ack" }, payload };
}

function operation(
	action: "send" | "receive",
	id: string,
	messages: readonly string[],
	replies?: readonly string[],
): JsonObject {
	const channel = { $ref: `#/channels/${id}` };
	const references = (keys: readonly string[]): readonly JsonObject[] =>
		keys.map((key) => ({ $ref: `#/channels/${id}/messages/${key}` }));
	return {
		action,
		channel,
		messages: references(messages),
		...(replies === undefined ? {} : { reply: { channel, messages: references(replies) } }),
	};
}

/** Puts a schema among the components, and returns the reference to it. */
function placeSchema(
	document: Draft,
	id: string,
	schema: MaybeSchema,
	side: "input" | "output",
): JsonObject | undefined {
	if (schema === undefined) {
		return undefined;
	}
	const pointer = `#/components/schemas/${id}`;
	document.schemas[id] = jsonSchemaOf(schema, side, pointer);
	return { $ref: pointer };
}

/** A key that needs no escaping in references, and is not taken: "order_{orderId}" becomes "order_orderId". */
function freshId(taken: Readonly<Record<string, unknown>>, name: string): string {
	const plain = name.replace(/[{}]/g, "").replace(/[^A-Za-z0-9_.-]/g, "_");
	let id = plain;
	for (let count = 2; Object.hasOwn(taken, id); count++) {
		id = `${plain}_${count}`;
	}
	return id;
}

/** For the document's readers; names are matched by `pattern.ts`. */
function nameExpression(pattern: Pattern): string {
	return `^${pattern.literals.map((literal) => literal.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[^:/.]+")}$`;
}
