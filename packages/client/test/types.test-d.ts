/** K1: what a contract says, the client's calls are typed by. Checked by the type checker; never run. */
import { action, channel, contract } from "@tidewire/contract";
import { z } from "zod";
import { inbox } from "../src/durable-inbox.ts";
import { type Client, connect } from "../src/index.ts";
import { indexedDbOutbox } from "../src/outbox/index.ts";
import { presence } from "../src/presence.ts";
import { state } from "../src/state.ts";

const delivery = contract({
	channels: {
		"order_{orderId}": channel({
			data: z.object({ lat: z.number(), eta: z.string().transform((text) => text.length) }),
		}),
		notices: channel({ data: z.string() }),
		"game:{id}": channel({ state: true, data: z.object({ score: z.number(), name: z.string().optional() }) }),
	},
	actions: {
		contact_driver: action({ input: z.object({ message: z.string() }), output: z.object({ read: z.boolean() }) }),
		ask: action({ input: z.object({ q: z.string() }), stream: z.object({ word: z.string() }) }),
		refresh: action(),
	},
});

const tw = connect<typeof delivery>("wss://host/connect", { token: async () => "t" });

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_equal: Equal<A, B>): void {}

export async function channels(): Promise<void> {
	const order = tw.channel("order_123");
	// Subscribers get what the schema puts out, publishers give what it takes.
	order.subscribe((data, message) => {
		same<typeof data, { lat: number; eta: number }>(true);
		same<typeof message.data, { lat: number; eta: number }>(true);
	});
	for await (const { lat, eta } of order) {
		same<typeof lat, number>(true);
		same<typeof eta, number>(true);
	}
	for await (const { data, position } of order.messages({ since: "e:1", bufferMessages: 10 })) {
		same<typeof data.lat, number>(true);
		same<typeof position, string>(true);
	}
	const position = await order.publish({ lat: 1, eta: "3 minutes" }, { key: "car", echo: false });
	same<typeof position, string>(true);
	same<Awaited<ReturnType<typeof order.history>>["messages"][number]["data"], { lat: number; eta: number }>(true);

	// @ts-expect-error eta is published as text
	await order.publish({ lat: 1, eta: 3 });
	// @ts-expect-error a field is missing
	await order.publish({ lat: 1 });
	// @ts-expect-error no such option
	await order.publish({ lat: 1, eta: "" }, { keys: "x" });
	// @ts-expect-error no pattern matches
	tw.channel("ordr_123");
	tw.channel(`order_${Math.random()}`).subscribe(({ lat }) => lat);
	// @ts-expect-error no such field
	tw.channel("order_1").subscribe(({ lng }) => lng);
	// @ts-expect-error notices are strings
	await tw.channel("notices").publish(5);
}

export async function states(): Promise<void> {
	const game = state(tw.channel("game:1"));
	same<typeof game.value, { score: number; name?: string | undefined } | undefined>(true);
	game.subscribe(({ score }, position) => same<[typeof score, typeof position], [number, string]>(true));
	for await (const { score } of game) {
		same<typeof score, number>(true);
	}
	await game.patch({ score: 2, name: null }, { if: "e:1" });
	await game.set({ score: 1 });
	await game.setKey("name", "ann", { ttl: 5 });
	await state(connect("wss://host/connect").channel("any")).setKey("any", { thing: 1 });

	// @ts-expect-error the member has another type
	await game.patch({ score: "2" });
	// @ts-expect-error a field is missing
	await game.set({});
	// @ts-expect-error no such member
	await game.setKey("nickname", "ann");
}

export async function entries(): Promise<void> {
	const outbox = indexedDbOutbox("name", { onOutcome: (message) => same<typeof message.action, string>(true) });
	const kept = connect<typeof delivery>("wss://host/connect", { outbox, positions: outbox.positions });
	await kept.action("contact_driver", { message: "hi" }, { keep: true });
	const here = presence(kept.channel("notices"), { enter: { data: 1 } });
	same<typeof here.count, number>(true);
	const reading = inbox(kept.channel("order_1"), "phone", ({ lat }, { position }) => {
		same<[typeof lat, typeof position], [number, string]>(true);
	});
	await reading.done;
	connect("wss://host/connect", { positions: new Map<string, string>() });

	// @ts-expect-error positions are a Map or the like
	connect("wss://host/connect", { positions: true });
}

export async function actions(): Promise<void> {
	const output = await tw.action("contact_driver", { message: "hi" }, { timeoutMs: 1_000 });
	same<typeof output, { read: boolean }>(true);
	await tw.action("refresh");
	for await (const item of tw.stream("ask", { q: "why" })) {
		same<typeof item, { word: string }>(true);
	}

	// @ts-expect-error no such action
	await tw.action("contact", { message: "hi" });
	// @ts-expect-error the input's field is `message`
	await tw.action("contact_driver", { text: "hi" });
	// @ts-expect-error the input is missing
	await tw.action("contact_driver");
	// @ts-expect-error contact_driver does not stream
	tw.stream("contact_driver", { message: "hi" });
}

export async function untyped(): Promise<void> {
	const wide = connect("wss://host/connect");
	wide.channel("anything").subscribe((data) => same<typeof data, unknown>(true));
	await wide.channel("anything").publish({ any: "thing" });
	same<Awaited<ReturnType<typeof wide.action>>, unknown>(true);
	for await (const item of wide.stream("ask")) {
		same<typeof item, unknown>(true);
	}
	const off: () => void = wide.on("state", (state, why) => [state === "offline", why?.code === "unavailable"]);
	off();
	// @ts-expect-error no such event
	wide.on("open", () => {});
}

export const typed: Client<typeof delivery> = tw;
