/**
 * What a contract says of one channel or one action, and what holds where it says nothing. Options are resolved here,
 * once; everything downstream reads plain fields. Permissions and handlers are not part of it: they belong to the
 * server, while a contract is shared with clients.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type DataEncoding, encodingOf, isBinary } from "./binary.ts";
import { ContractError } from "./contract-error.ts";
import { type Duration, durationMs } from "./duration.ts";

/** Any Standard Schema: zod, valibot, arktype and others. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;

/** A schema, or none where nothing is said. */
export type MaybeSchema = Schema | undefined;

/** What a subscriber gets that is slower than its channel. */
export type SlowPolicy = "catch-up" | "conflate" | "skip" | "disconnect";

/** How much of a channel is kept, for those who come back or come late. Whichever bound is met first counts. */
export interface HistoryOptions {
	/** Messages per channel. More lets clients resume after longer absences and costs memory. Default: 1,000. */
	readonly messages?: number;
	/** Bytes of data per channel. Default: 1 MiB. */
	readonly bytes?: number;
	/** "30s", "10m", "1h". Default: "10m". */
	readonly age?: Duration;
}

/** History as resolved; the broker's `Retention` has the same shape. */
export interface History {
	readonly messages: number;
	readonly bytes: number;
	readonly ageMs: number;
}

export const DEFAULT_HISTORY: History = Object.freeze({ messages: 1_000, bytes: 1_048_576, ageMs: 600_000 });

/** Bounds of a state channel's value, beside which the channel's other bounds hold. */
export interface StateOptions {
	/** The most bytes that the whole value may have as JSON; each change costs work in this order. Default: 256 KiB. */
	readonly maxBytes?: number;
	/** The most members that the value may have, counted on its outermost level. Default: 10,000. */
	readonly maxKeys?: number;
}

/** The bounds as resolved. */
export type StateLimits = Readonly<Required<StateOptions>>;

export const DEFAULT_STATE: StateLimits = Object.freeze({ maxBytes: 262_144, maxKeys: 10_000 });

/** What holds for a channel's presence. */
export interface PresenceOptions {
	/** What a member may say of itself. Default: any value, unchecked, within the server's limit. */
	readonly data?: Schema;
	/** How many members there may be; whoever comes then is refused. Default: the server's limit. */
	readonly maxMembers?: number;
}

/** What `state` may be in a channel's options. */
export type MaybeState = boolean | StateOptions | undefined;

/** What becomes of it: limits in a state channel, undefined in any other. */
export type StateOf<State extends MaybeState> = [State] extends [false | undefined]
	? undefined
	: [State] extends [true | StateOptions]
		? StateLimits
		: StateLimits | undefined;

export interface ChannelOptions<Data extends MaybeSchema, State extends MaybeState = MaybeState> {
	/**
	 * What a message carries. Publishers give the schema's input, subscribers get its output, which travels as JSON or
	 * MessagePack: so the output must be a value that these can hold. `binary()` makes it a channel of bytes; with any
	 * other schema bytes are refused. Default: any value or bytes, unchecked.
	 */
	readonly data?: Data;
	/**
	 * Makes it a state channel: the server keeps one value, `data` is the schema of the whole of it, publishers give a
	 * new value or a patch (RFC 7396), subscribers get the value and then patches. The schema is asked about each value
	 * that results, so what it puts out must be what it takes. Default: false.
	 */
	readonly state?: State;
	/** What is kept; `false` keeps nothing, and a client that was away gets a gap. Default: `DEFAULT_HISTORY`. */
	readonly history?: false | HistoryOptions;
	/**
	 * What a subscriber gets that is slower than the channel. "catch-up": all that history still holds, then a gap.
	 * "conflate": the latest message of each key; right for positions and prices. "skip": a gap, then what is new.
	 * "disconnect": the connection ends. Default: "catch-up". In a state channel, "conflate" (one merged patch; the
	 * default there) and "disconnect" only: the others would leave a subscriber with a value that never was.
	 */
	readonly slow?: SlowPolicy;
	/**
	 * What a subscriber may choose instead of `slow`, with `policy`. Name more where clients differ, such as a recorder
	 * ("catch-up") beside maps ("conflate"); each costs what it costs by itself. Default: nothing else.
	 */
	readonly slowChoices?: readonly SlowPolicy[];
	/** The most that one message's data may have, below the server's own limit. Default: the server's limit. */
	readonly maxMessageBytes?: number;
	/** Default: presence within the server's limits, for whoever its permissions let. */
	readonly presence?: PresenceOptions;
	/** For people: goes into the AsyncAPI document. */
	readonly description?: string;
}

export interface ChannelDeclaration<
	Data extends MaybeSchema = MaybeSchema,
	State extends StateLimits | undefined = StateLimits | undefined,
> {
	readonly data: Data;
	/** What data may be, by its schema. */
	readonly encoding: DataEncoding;
	/** Undefined: no state channel. */
	readonly state: State;
	readonly history: false | History;
	readonly slow: SlowPolicy;
	/** What a subscriber may choose, `slow` included. */
	readonly slowChoices: readonly SlowPolicy[];
	/** Undefined: the server's limit. */
	readonly maxMessageBytes: number | undefined;
	/** Undefined: nothing was said. */
	readonly presence: PresenceOptions | undefined;
	readonly description: string | undefined;
}

export interface ActionOptions<Input extends MaybeSchema, Output extends MaybeSchema, Stream extends MaybeSchema> {
	/** What the caller sends. Default: nothing. */
	readonly input?: Input;
	/** What the acknowledgement carries. Default: whatever the handler returns, unchecked. */
	readonly output?: Output;
	/** The items of a streaming reply: the handler is then an async generator. Default: no streaming. */
	readonly stream?: Stream;
	/**
	 * Whether a repeat of a call (same session, same id) is recognised at every node and after a restart, for two writes to
	 * the broker each. `false` for what may be done twice, such as reading: then only the node that performed it knows it.
	 * Default: true.
	 */
	readonly once?: boolean;
	/** The most that one call may have, below the server's own limit. Default: the server's limit. */
	readonly maxMessageBytes?: number;
	/** For people: goes into the AsyncAPI document. */
	readonly description?: string;
}

export interface ActionDeclaration<
	Input extends MaybeSchema = MaybeSchema,
	Output extends MaybeSchema = MaybeSchema,
	Stream extends MaybeSchema = MaybeSchema,
> {
	readonly input: Input;
	readonly output: Output;
	/** The schema of the items where the reply streams, else undefined. */
	readonly stream: Stream;
	readonly once: boolean;
	/** Undefined: the server's limit. */
	readonly maxMessageBytes: number | undefined;
	readonly description: string | undefined;
}

// NoInfer in the results: else TypeScript would infer "perhaps a schema" for an absent option from the place where the
// result is used, instead of the parameter's default.

/** Declares a channel. Throws `ContractError` (`bad_option`) for options that cannot be meant. */
export function channel<Data extends MaybeSchema = undefined, const State extends MaybeState = undefined>(
	options: ChannelOptions<Data, State> = {},
): ChannelDeclaration<NoInfer<Data>, StateOf<NoInfer<State>>> {
	const state = resolveState(options.state);
	const slow = options.slow ?? (state === undefined ? "catch-up" : "conflate");
	const data = requireSchema("data", options.data);
	if (state !== undefined && isBinary(data)) {
		throw new ContractError("bad_option", "data is binary() in a state channel, whose value is JSON");
	}
	const slowChoices = resolveChoices(slow, options.slowChoices);
	for (const [option, policies] of Object.entries({ slow: [slow], slowChoices })) {
		refusePolicies(option, policies, state !== undefined);
	}
	return Object.freeze({
		data,
		encoding: encodingOf(data),
		state: state as StateOf<State>,
		history: resolveHistory(options.history),
		slow,
		slowChoices,
		maxMessageBytes: requireCount("maxMessageBytes", options.maxMessageBytes),
		presence: resolvePresence(options.presence),
		description: options.description,
	});
}

/** Declares an action. Throws `ContractError` (`bad_option`) for options that cannot be meant. */
export function action<
	Input extends MaybeSchema = undefined,
	Output extends MaybeSchema = undefined,
	Stream extends MaybeSchema = undefined,
>(
	options: ActionOptions<Input, Output, Stream> = {},
): ActionDeclaration<NoInfer<Input>, NoInfer<Output>, NoInfer<Stream>> {
	return Object.freeze({
		input: requireJsonSchema("input", options.input),
		output: requireJsonSchema("output", options.output),
		stream: requireJsonSchema("stream", options.stream),
		once: options.once ?? true,
		maxMessageBytes: requireCount("maxMessageBytes", options.maxMessageBytes),
		description: options.description,
	});
}

/** The policies for slow consumers, as `slowChoices` takes them: all of them. */
export const SLOW_POLICIES: readonly SlowPolicy[] = Object.freeze(["catch-up", "conflate", "skip", "disconnect"]);

function resolveChoices(slow: SlowPolicy, choices: readonly SlowPolicy[] = []): readonly SlowPolicy[] {
	if (!Array.isArray(choices)) {
		throw new ContractError("bad_option", `slowChoices is ${JSON.stringify(choices)}, but must be a list of policies`);
	}
	return Object.freeze([...new Set([slow, ...choices])]);
}

function refusePolicies(option: string, policies: readonly SlowPolicy[], isState: boolean): void {
	for (const policy of policies) {
		if (!SLOW_POLICIES.includes(policy)) {
			throw new ContractError(
				"bad_option",
				`${option} is ${JSON.stringify(policy)}, but must be one of ${SLOW_POLICIES.join(", ")}`,
			);
		}
		if (isState && policy !== "conflate" && policy !== "disconnect") {
			throw new ContractError(
				"bad_option",
				`${option} is "${policy}" in a state channel, but whoever is slow gets one merged patch there: "conflate", or "disconnect"`,
			);
		}
	}
}

function resolveState(state: MaybeState): StateLimits | undefined {
	if (state === undefined || state === false) {
		return undefined;
	}
	if (state !== true && (typeof state !== "object" || state === null)) {
		throw new ContractError("bad_option", `state is ${JSON.stringify(state)}, but must be true or its limits`);
	}
	const { maxBytes, maxKeys } = state === true ? ({} as StateOptions) : state;
	return Object.freeze({
		maxBytes: requireCount("state.maxBytes", maxBytes) ?? DEFAULT_STATE.maxBytes,
		maxKeys: requireCount("state.maxKeys", maxKeys) ?? DEFAULT_STATE.maxKeys,
	});
}

function resolvePresence(presence: PresenceOptions | undefined): PresenceOptions | undefined {
	if (presence === undefined) {
		return undefined;
	}
	if (typeof presence !== "object" || presence === null) {
		throw new ContractError("bad_option", `presence is ${JSON.stringify(presence)}, but must be its options`);
	}
	const data = requireSchema("presence.data", presence.data);
	const maxMembers = requireCount("presence.maxMembers", presence.maxMembers);
	return Object.freeze({
		...(data === undefined ? {} : { data }),
		...(maxMembers === undefined ? {} : { maxMembers }),
	});
}

function resolveHistory(history: false | HistoryOptions | undefined): false | History {
	if (history === false) {
		return false;
	}
	return Object.freeze({
		messages: requireCount("history.messages", history?.messages) ?? DEFAULT_HISTORY.messages,
		bytes: requireCount("history.bytes", history?.bytes) ?? DEFAULT_HISTORY.bytes,
		ageMs: history?.age === undefined ? DEFAULT_HISTORY.ageMs : durationMs(history.age),
	});
}

function requireCount(option: string, value: number | undefined): number | undefined {
	if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) {
		const hint = option.startsWith("history.") ? "; to keep nothing, write history: false" : "";
		throw new ContractError("bad_option", `${option} is ${value}, but must be a positive integer${hint}`);
	}
	return value;
}

/** Validators are told by their behaviour, since some (arktype's) are functions. */
function requireSchema<S extends MaybeSchema>(option: string, schema: S | undefined): S {
	if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
		throw new ContractError("bad_option", `${option} is no Standard Schema: it has no ["~standard"].validate`);
	}
	return schema as S;
}

/** Calls and their replies are JSON, whatever carries them. */
function requireJsonSchema<S extends MaybeSchema>(option: string, schema: S | undefined): S {
	const required = requireSchema<S>(option, schema);
	if (isBinary(required)) {
		throw new ContractError("bad_option", `${option} is binary(), which is for the data of channels`);
	}
	return required;
}
