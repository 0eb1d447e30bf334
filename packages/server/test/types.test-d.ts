/**
 * K1: what handlers and rules know of a contract by inference. Read by the type checker only; nothing here runs. Each
 * `@ts-expect-error` is a mistake that must not compile.
 */
import { action, type Contract, channel, contract } from "@tidewire/contract";
import { z } from "zod";
import { createServer, type ServerUser, type TidewireServer } from "../src/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_Check extends true>(): void {}

const delivery = contract({
	channels: {
		"order_{orderId}": channel({ data: z.object({ lat: z.number(), eta: z.string().default("unknown") }) }),
		"chat:{room}:{thread}": channel(),
		lobby: channel({ data: z.string() }),
		"game:{id}": channel({
			state: true,
			data: z.object({ score: z.number(), at: z.object({ x: z.number() }).optional() }),
		}),
		board: channel({ state: true }),
	},
	actions: {
		contact_driver: action({
			input: z.object({ message: z.string(), urgent: z.boolean().default(false) }),
			output: z.object({ at: z.number() }),
		}),
		count: action({ input: z.object({ to: z.number() }), stream: z.string() }),
		ring: action(),
	},
});

interface Customer {
	readonly id: string;
	readonly orders: readonly string[];
}
const customer: Customer = { id: "ann", orders: [] };

// --- What is inferred -----------------------------------------------------------------------------------------------

const server = createServer(delivery, {
	authenticate: ({ token, cookies, params }) => {
		expectType<Equal<typeof token, string | undefined>>();
		expectType<Equal<typeof cookies, Readonly<Record<string, string>>>>();
		expectType<Equal<typeof params, Readonly<Record<string, string>>>>();
		return token === "x" ? customer : null;
	},
	may: {
		subscribe: {
			"order_{orderId}": ({ user, params, channel: name }) => {
				expectType<Equal<typeof user, Customer | null>>();
				expectType<Equal<typeof params, { readonly orderId: string }>>();
				expectType<Equal<typeof name, string>>();
				return user?.orders.includes(params.orderId) ?? false;
			},
			"chat:{room}:{thread}": async ({ params }) => {
				expectType<Equal<typeof params, { readonly room: string; readonly thread: string }>>();
				return true;
			},
			lobby: true,
		},
		call: { contact_driver: ({ user }) => user !== null },
	},
	actions: {
		contact_driver: ({ user, input, signal }) => {
			expectType<Equal<typeof user, Customer | null>>();
			expectType<Equal<typeof input, { message: string; urgent: boolean }>>();
			expectType<Equal<typeof signal, AbortSignal>>();
			return { at: 1 };
		},
		async *count({ input }) {
			expectType<Equal<typeof input, { to: number }>>();
			yield "one";
		},
		ring: async ({ input, server: publisher }) => {
			expectType<Equal<typeof input, undefined>>();
			await publisher.channel("lobby").publish("rung");
		},
	},
});
expectType<Equal<typeof server, TidewireServer<typeof delivery>>>();

// An asynchronous authenticate gives the same user.
createServer(delivery, {
	authenticate: async () => customer,
	may: { publish: { lobby: ({ user }) => user?.orders.length === 0 } },
	actions: { contact_driver: () => ({ at: 1 }), async *count() {}, ring() {} },
});

// --- Publishing from the application --------------------------------------------------------------------------------

await server.channel("order_1").publish({ lat: 1 });
await server.channel("order_1").publish({ lat: 1, eta: "soon" }, { key: "k", ttlMs: 5 });
// @ts-expect-error: nor bytes, where a schema wants JSON
await server.channel("lobby").publish(new Uint8Array(1));
// @ts-expect-error: the field's type is wrong
await server.channel("order_1").publish({ lat: "1" });
// @ts-expect-error: a field is missing
await server.channel("order_1").publish({});
// @ts-expect-error: this channel carries strings
await server.channel("lobby").publish(1);
// @ts-expect-error: no pattern of the contract matches
server.channel("elsewhere");

// --- To a user, to a pattern, at a time, with a report ----------------------------------------------------------------

const toAnn = server.user("ann");
await toAnn.publish({ anything: 1 });
await toAnn.device("phone-1").publish("anything");
expectType<Equal<typeof toAnn, ServerUser<typeof delivery>>>();
const lobby = server.channel("lobby");
expectType<Equal<Awaited<ReturnType<typeof lobby.publishAt>>, void>>();
await lobby.publishAt(new Date(0), "later", { ttlMs: 1 });
// @ts-expect-error: where the channel will stand then is not known
await lobby.publishAt(0, "later", { ifPosition: "e:1" });
const { complete, position, written } = await lobby.publishAndReport("now");
expectType<Equal<[typeof complete, typeof position, typeof written], [boolean, string, number]>>();

const reached: number = await server.broadcast("order_{orderId}", { lat: 1 }, { idempotencyKey: "k" });
expectType<Equal<typeof reached, number>>();
// @ts-expect-error: the field's type is wrong
await server.broadcast("order_{orderId}", { lat: "1" });
// @ts-expect-error: a name is no pattern
await server.broadcast("order_1", { lat: 1 });

const inboxes = contract({
	channels: { "@user": channel({ data: z.object({ text: z.string() }) }), lobby: channel() },
});
const withInboxes = createServer(inboxes, {
	may: { publish: { "@user": ({ user }) => user !== null, "@device:{device}": ({ params }) => params.device === "1" } },
});
await withInboxes.user("ann").publish({ text: "hello" });
// @ts-expect-error: the inbox carries texts
await withInboxes.user("ann").publish({ text: 1 });
await withInboxes.user("ann").device("phone-1").publish(1);
// @ts-expect-error: an own channel has a user
withInboxes.channel("@user");
// @ts-expect-error: an own channel has a user
await withInboxes.broadcast("@user", { text: "hello" });
// @ts-expect-error: a user always may
createServer(inboxes, { may: { subscribe: { "@user": true } } });

// --- State channels -------------------------------------------------------------------------------------------------

const game = server.channel("game:1");
await game.publish({ score: 1 });
await game.patch({ score: 2, at: { x: null } }, { ifPosition: "e:1" });
await game.setKey("at", { x: 1 }, { ttlMs: 5_000 });
const { value: gameValue, position: gamePosition } = await game.value();
expectType<Equal<typeof gameValue, { score: number; at?: { x: number } | undefined } | undefined>>();
expectType<Equal<typeof gamePosition, string>>();
await server.channel("board").patch({ anything: 1 });
await server.channel("board").setKey("anyone", [1]);
// @ts-expect-error: the member has another type
await game.patch({ score: "2" });
// @ts-expect-error: no such member
await game.setKey("name", "x");
// @ts-expect-error: the member has another type
await game.setKey("score", "x");
// @ts-expect-error: no state channel, so it has no value
await server.channel("lobby").value();
// @ts-expect-error: no state channel, so there is nothing to patch
await server.channel("order_1").patch({ lat: 1 });

// --- Mistakes in the options ----------------------------------------------------------------------------------------

const handlers = { contact_driver: () => ({ at: 1 }), async *count() {}, ring() {} };

// @ts-expect-error: the contract declares actions, so there are handlers
createServer(delivery, {});
// @ts-expect-error: the handler of "ring" is missing
createServer(delivery, { actions: { contact_driver: handlers.contact_driver, count: handlers.count } });
// @ts-expect-error: the output has another type
createServer(delivery, { actions: { ...handlers, contact_driver: () => ({ at: "noon" }) } });
// @ts-expect-error: the output is missing
createServer(delivery, { actions: { ...handlers, contact_driver: () => {} } });
createServer(delivery, {
	actions: {
		...handlers,
		// @ts-expect-error: the input has no such field
		contact_driver: ({ input }) => ({ at: input.massage.length }),
	},
});
createServer(delivery, {
	actions: {
		...handlers,
		// @ts-expect-error: items are strings
		async *count() {
			yield 1;
		},
	},
});
// @ts-expect-error: a streaming action is answered by a generator
createServer(delivery, { actions: { ...handlers, count: () => "one" } });
// @ts-expect-error: the contract declares no such action
createServer(delivery, { actions: { ...handlers, sing() {} } });
createServer(delivery, {
	actions: handlers,
	// @ts-expect-error: no such pattern
	may: { subscribe: { "orders_{orderId}": true } },
});
createServer(delivery, {
	actions: handlers,
	// @ts-expect-error: the pattern has no such parameter
	may: { subscribe: { "order_{orderId}": ({ params }) => params.id === "1" } },
});
createServer(delivery, {
	actions: handlers,
	// @ts-expect-error: no such action
	may: { call: { contact_drivr: false } },
});
createServer(delivery, {
	actions: handlers,
	// @ts-expect-error: a rule answers with a boolean
	may: { subscribe: { lobby: () => "yes" } },
});
createServer(delivery, {
	actions: handlers,
	// @ts-expect-error: a user has an id
	authenticate: () => ({ name: "ann" }),
});

// --- Without a contract ---------------------------------------------------------------------------------------------

const open = createServer();
expectType<Equal<typeof open, TidewireServer<Contract>>>();
await open.channel("any").publish({ anything: true });
createServer(undefined, { may: { subscribe: { "*": true } }, actions: { any: ({ input }) => input } });
