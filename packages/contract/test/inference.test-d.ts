/**
 * K1: what the two ends know of a contract by inference. Read by the type checker only; nothing here runs. Each
 * `@ts-expect-error` is a mistake that must not compile.
 */
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
	type ActionInput,
	type ActionItem,
	type ActionName,
	type ActionOutput,
	action,
	binary,
	type ChannelData,
	type ChannelInput,
	type ChannelName,
	type ChannelParams,
	type ChannelPatch,
	type ChannelPattern,
	type Contract,
	channel,
	contract,
	fill,
	type HandlerInput,
	type HandlerItem,
	type HandlerOutput,
	type HandlerResult,
	type IsState,
	type MergePatch,
	type NameOf,
	type StreamingActionName,
} from "../src/index.ts";
import { type Equal, expectType } from "./expect-type.ts";

// --- One contract in three validators' words ------------------------------------------------------------------------

const withZod = contract({
	channels: {
		"order_{orderId}": channel({
			data: z.object({ lat: z.number(), eta: z.string().default("unknown") }),
			history: { messages: 500, age: "1h" },
			slow: "conflate",
		}),
		"order_{orderId}:notes": channel({ data: z.string() }),
		lobby: channel(),
	},
	actions: {
		contact_driver: action({
			input: z.object({ message: z.string(), urgent: z.boolean().default(false) }),
			output: z.object({ at: z.number().default(0) }),
		}),
		count: action({ input: z.object({ to: z.number() }), stream: z.string().transform((text) => text.length) }),
		ring: action(),
	},
});

const withValibot = contract({
	channels: {
		"order_{orderId}": channel({ data: v.object({ lat: v.number(), eta: v.optional(v.string(), "unknown") }) }),
		"order_{orderId}:notes": channel({ data: v.string() }),
		lobby: channel(),
	},
	actions: {
		contact_driver: action({
			input: v.object({ message: v.string(), urgent: v.optional(v.boolean(), false) }),
			output: v.object({ at: v.optional(v.number(), 0) }),
		}),
		count: action({
			input: v.object({ to: v.number() }),
			stream: v.pipe(
				v.string(),
				v.transform((text) => text.length),
			),
		}),
		ring: action(),
	},
});

const withArktype = contract({
	channels: {
		"order_{orderId}": channel({ data: type({ lat: "number", eta: "string = 'unknown'" }) }),
		"order_{orderId}:notes": channel({ data: type("string") }),
		lobby: channel(),
	},
	actions: {
		contact_driver: action({
			input: type({ message: "string", urgent: "boolean = false" }),
			output: type({ at: "number = 0" }),
		}),
		count: action({ input: type({ to: "number" }), stream: type("string").pipe((text) => text.length) }),
		ring: action(),
	},
});

type Zod = typeof withZod;
type Valibot = typeof withValibot;
type Arktype = typeof withArktype;

// --- Names and patterns ---------------------------------------------------------------------------------------------

type Names = `order_${string}` | `order_${string}:notes` | "lobby";
expectType<Equal<ChannelName<Zod>, Names>>();
expectType<Equal<ChannelName<Valibot>, Names>>();
expectType<Equal<ChannelName<Arktype>, Names>>();
expectType<Equal<ChannelPattern<Zod>, "order_{orderId}" | "order_{orderId}:notes" | "lobby">>();
expectType<Equal<ActionName<Zod>, "contact_driver" | "count" | "ring">>();
expectType<Equal<StreamingActionName<Zod>, "count">>();

expectType<Equal<NameOf<"a">, "a">>();
expectType<Equal<NameOf<"game:{room}/{seat}.{hand}">, `game:${string}/${string}.${string}`>>();
expectType<Equal<NameOf<string>, string>>();

expectType<Equal<ChannelParams<"order_{orderId}">, { readonly orderId: string }>>();
expectType<Equal<ChannelParams<"game:{room}/{seat}">, { readonly room: string; readonly seat: string }>>();
expectType<Equal<keyof ChannelParams<"lobby">, never>>();
expectType<Equal<ChannelParams<string>, Readonly<Record<string, string>>>>();

// --- Channels: publishers give the input, subscribers get the output ------------------------------------------------

interface Given {
	lat: number;
	eta?: string | undefined;
}
interface Got {
	lat: number;
	eta: string;
}
expectType<Equal<ChannelData<Zod, "order_123">["eta"], string>>();
expectType<Equal<ChannelData<Valibot, "order_123">["eta"], string>>();
expectType<Equal<ChannelData<Arktype, "order_123">["eta"], string>>();
expectType<Equal<Same<ChannelData<Zod, "order_123">>, Same<Got>>>();
expectType<Equal<Same<ChannelData<Valibot, "order_123">>, Same<Got>>>();
expectType<Equal<Same<ChannelData<Arktype, "order_123">>, Same<Got>>>();
expectType<Equal<Same<ChannelInput<Zod, "order_123">>, Same<Given>>>();
expectType<Equal<Same<ChannelInput<Valibot, "order_123">>, Same<Given>>>();
// arktype says `eta?: string`, without `undefined`: that is its own, stricter, reading.
expectType<Equal<Same<ChannelInput<Arktype, "order_123">>, { lat: number; eta?: string }>>();

/** An object type written out, so that interfaces and intersections compare by their fields. */
type Same<T> = { [K in keyof T]: T[K] };

// The channel may be a name, a template or the pattern itself; a separator decides as it does at run time.
expectType<Equal<ChannelData<Zod, `order_${string}`>, ChannelData<Zod, "order_123">>>();
expectType<Equal<ChannelData<Zod, "order_{orderId}">, ChannelData<Zod, "order_123">>>();
expectType<Equal<ChannelData<Zod, "order_123:notes">, string>>();
expectType<Equal<ChannelData<Zod, `order_${number}:notes`>, string>>();
expectType<Equal<ChannelData<Zod, "lobby">, unknown>>();
expectType<Equal<ChannelInput<Zod, "lobby">, unknown>>();

// A binary channel: bytes at both ends.
const camera = contract({ channels: { "camera:{id}": channel({ data: binary() }) } });
expectType<Equal<ChannelData<typeof camera, "camera:1">, Uint8Array>>();
expectType<Equal<ChannelInput<typeof camera, "camera:1">, Uint8Array>>();

// What no pattern matches has no data.
expectType<Equal<ChannelData<Zod, "order_">, never>>();
expectType<Equal<ChannelData<Zod, "order_1/2">, never>>();
expectType<Equal<ChannelData<Zod, "order_1.5">, never>>();
expectType<Equal<ChannelData<Zod, "parcel_1">, never>>();

// --- Actions: as the caller and as the handler sees them ------------------------------------------------------------

expectType<Equal<ActionInput<Zod, "contact_driver">["urgent"], boolean | undefined>>();
expectType<Equal<ActionInput<Valibot, "contact_driver">["urgent"], boolean | undefined>>();
expectType<Equal<ActionInput<Arktype, "contact_driver">["urgent"], boolean | undefined>>();
expectType<Equal<HandlerInput<Zod, "contact_driver">["urgent"], boolean>>();
expectType<Equal<HandlerInput<Valibot, "contact_driver">["urgent"], boolean>>();
expectType<Equal<HandlerInput<Arktype, "contact_driver">["urgent"], boolean>>();
expectType<Equal<ActionOutput<Zod, "contact_driver">["at"], number>>();
expectType<Equal<ActionOutput<Valibot, "contact_driver">["at"], number>>();
expectType<Equal<ActionOutput<Arktype, "contact_driver">["at"], number>>();
expectType<Equal<HandlerOutput<Zod, "contact_driver">["at"], number | undefined>>();
expectType<Equal<HandlerOutput<Valibot, "contact_driver">["at"], number | undefined>>();
expectType<Equal<HandlerOutput<Arktype, "contact_driver">["at"], number | undefined>>();

expectType<Equal<ActionItem<Zod, "count">, number>>();
expectType<Equal<ActionItem<Valibot, "count">, number>>();
expectType<Equal<ActionItem<Arktype, "count">, number>>();
expectType<Equal<HandlerItem<Zod, "count">, string>>();
expectType<Equal<HandlerItem<Valibot, "count">, string>>();
expectType<Equal<HandlerItem<Arktype, "count">, string>>();
expectType<Equal<ActionItem<Zod, "ring">, never>>();

expectType<Equal<ActionInput<Zod, "ring">, undefined>>();
expectType<Equal<HandlerInput<Zod, "ring">, undefined>>();
expectType<Equal<ActionOutput<Zod, "ring">, unknown>>();

// --- Open: the wide contract, an empty one, and one with a part left out --------------------------------------------

const empty = contract({});
const actionsOnly = contract({ actions: { ring: action() } });
const noChannels = contract({ channels: {}, actions: {} });
expectType<Equal<ChannelName<Contract>, string>>();
expectType<Equal<ChannelName<typeof empty>, string>>();
expectType<Equal<ChannelName<typeof actionsOnly>, string>>();
expectType<Equal<ChannelName<typeof noChannels>, string>>();
expectType<Equal<ActionName<Contract>, string>>();
expectType<Equal<ActionName<typeof noChannels>, string>>();
expectType<Equal<ActionName<typeof actionsOnly>, "ring">>();
expectType<Equal<ChannelData<Contract, "anything">, unknown>>();
expectType<Equal<ChannelInput<typeof empty, string>, unknown>>();
expectType<Equal<ActionInput<Contract, "anything">, unknown>>();
expectType<Equal<HandlerInput<typeof noChannels, string>, unknown>>();
expectType<Equal<ActionOutput<Contract, string>, unknown>>();
expectType<Equal<ActionItem<Contract, string>, unknown>>();
expectType<Equal<StreamingActionName<Contract>, string>>();

// Every contract is a Contract.
const wide: readonly Contract[] = [withZod, withValibot, withArktype, empty, actionsOnly];
void wide;

// --- What both ends build on it: a small end of each kind, and the mistakes that must not compile -------------------

declare function subscribe<C extends Contract, N extends ChannelName<C>>(
	contract: C,
	name: N,
	listener: (data: ChannelData<C, N>) => void,
): void;
declare function publish<C extends Contract, N extends ChannelName<C>>(
	contract: C,
	name: N,
	data: ChannelInput<C, N>,
): void;
declare function call<C extends Contract, N extends ActionName<C>>(
	contract: C,
	name: N,
	...input: undefined extends ActionInput<C, N> ? [input?: ActionInput<C, N>] : [input: ActionInput<C, N>]
): Promise<ActionOutput<C, N>>;
declare function serve<C extends Contract>(
	contract: C,
	handlers: { [N in ActionName<C>]: (context: { input: HandlerInput<C, N> }) => HandlerResult<C, N> },
): void;

export async function mistakes(orderId: string, anyName: string): Promise<void> {
	for (const order of [withZod]) {
		subscribe(order, `order_${orderId}`, ({ lat, eta }) => void [lat.toFixed(), eta.length]);
		publish(order, "order_123", { lat: 40.7128 });
		// @ts-expect-error a wrong field
		publish(order, "order_123", { latitude: 40.7128 });
		// @ts-expect-error a field of a wrong type
		publish(order, "order_123", { lat: "40.7128" });
		// @ts-expect-error a field that subscribers do not get
		subscribe(order, "order_123", ({ lng }) => void lng);
		// @ts-expect-error a channel that matches no pattern
		subscribe(order, "parcel_123", () => {});
		// @ts-expect-error a name of which nothing is known
		subscribe(order, anyName, () => {});
		// @ts-expect-error the pattern wants a text behind its prefix
		publish(order, "order_", { lat: 1 });

		const { at } = await call(order, "contact_driver", { message: "I'm waiting outside" });
		expectType<Equal<typeof at, number>>();
		await call(order, "ring");
		// @ts-expect-error an unknown action
		await call(order, "contact_pilot", { message: "hello" });
		// @ts-expect-error a wrong field in the input
		await call(order, "contact_driver", { text: "hello" });
		// @ts-expect-error no input where one is declared
		await call(order, "contact_driver");
		// @ts-expect-error an input where none is declared
		await call(order, "ring", { loud: true });
	}

	publish(withValibot, "order_123", { lat: 40.7128 });
	// @ts-expect-error a wrong field, in valibot's words
	publish(withValibot, "order_123", { latitude: 40.7128 });
	publish(withArktype, "order_123", { lat: 40.7128 });
	// @ts-expect-error a wrong field, in arktype's words
	publish(withArktype, "order_123", { latitude: 40.7128 });

	subscribe(empty, anyName, (data) => expectType<Equal<typeof data, unknown>>());
	await call(empty as Contract, anyName, { anything: true });

	serve(withZod, {
		contact_driver: ({ input }) => ({ at: input.urgent ? 1 : 2 }),
		async *count({ input }) {
			yield "x".repeat(input.to);
		},
		ring: () => {},
	});
	serve(withZod, {
		contact_driver: async () => ({}),
		ring: () => {},
		// @ts-expect-error an item that the stream's schema does not take
		async *count() {
			yield 1;
		},
	});
	serve(withZod, {
		// @ts-expect-error an output of another shape
		contact_driver: () => ({ at: "noon" }),
		// @ts-expect-error a streaming action must be a generator
		count: () => "x",
		// @ts-expect-error a handler that reads an input where none is declared
		ring: ({ input }) => input.loud,
	});

	fill("order_{orderId}", { orderId });
	// @ts-expect-error another parameter
	fill("order_{orderId}", { id: orderId });
}

export const mistakenDeclarations = {
	// @ts-expect-error a number does not say of what
	age: () => channel({ history: { age: 600 } }),
	// @ts-expect-error no unit
	unit: () => channel({ history: { age: "600" } }),
	// @ts-expect-error no such policy
	slow: () => channel({ slow: "drop" }),
	// @ts-expect-error no schema
	data: () => channel({ data: { lat: "number" } }),
	// @ts-expect-error a name that is built in
	builtIn: () => contract({ actions: { subscribe: action() } }),
	// @ts-expect-error a name that is reserved
	reserved: () => contract({ actions: { $ring: action() } }),
	// @ts-expect-error a word that is no option
	option: () => channel({ histroy: false }),
};

const filled = fill("chat:{room}", { room: "lobby" });
expectType<Equal<typeof filled, `chat:${string}`>>();

// --- State channels -------------------------------------------------------------------------------------------------

const withState = contract({
	channels: {
		"game:{id}": channel({
			state: true,
			data: z.object({ score: z.number(), at: z.object({ x: z.number() }).optional() }),
		}),
		board: channel({ state: { maxKeys: 100 } }),
		chat: channel({ state: false, data: z.string() }),
		lobby: channel(),
	},
});
type State = typeof withState;
expectType<Equal<IsState<State, "game:1">, true>>();
expectType<Equal<IsState<State, "board">, true>>();
expectType<Equal<IsState<State, "chat">, false>>();
expectType<Equal<IsState<State, "lobby">, false>>();
expectType<Equal<IsState<Contract, "any">, false>>();
expectType<
	Equal<
		ChannelPatch<State, "game:1">,
		{ readonly score?: number | null; readonly at?: { readonly x?: number | null } | null | undefined }
	>
>();
expectType<Equal<ChannelPatch<State, "board">, unknown>>();
expectType<Equal<MergePatch<readonly number[]>, readonly number[]>>();
expectType<Equal<MergePatch<string | { a: 1 }>, string | { readonly a?: 1 | null }>>();
// @ts-expect-error: state is true, false or its limits
channel({ state: "yes" });
