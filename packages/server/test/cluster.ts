/** Servers on one broker, as nodes of a cluster, with a clock that tests set on. */
import { type Broker, createMemoryCluster, type MemoryBrokerOptions } from "@tidewire/broker";
import { type Contract, contract } from "@tidewire/contract";
import { SILENT } from "../src/observe/log.ts";
import type { ServerOptions } from "../src/options.ts";
import { createServer } from "../src/server.ts";
import { afterwards, type Client, enveloped, type Running, run } from "./client.ts";

const START_MS = Date.UTC(2030, 0, 1);

export interface Cluster<C extends Contract> {
	readonly nodes: readonly [Running<C>, Running<C>];
	/** What the clock says, in milliseconds since 1970. */
	nowMs(): number;
	/** Sets the clock on: what was waiting for a time up to then happens. */
	pass(ms: number): void;
	/** One more node at the broker, without a server. */
	broker(): Broker;
	/** The broker loses a channel's log, epoch and head. */
	forget(channel: string): void;
}

/** Whoever shows `<id>` as token is the user of that id. Who shows none is nobody. */
export async function twoNodes<C extends Contract = Contract>(
	options: ServerOptions = {},
	declared: C = contract({}) as unknown as C,
	brokerOptions: MemoryBrokerOptions = {},
): Promise<Cluster<C>> {
	let nowMs = START_MS;
	let timers: { readonly atMs: number; readonly task: () => void }[] = [];
	const cluster = createMemoryCluster({
		...brokerOptions,
		now: () => nowMs,
		every: () => () => {},
		after: (delayMs, task) => {
			const timer = { atMs: nowMs + delayMs, task };
			timers.push(timer);
			return () => {
				timers = timers.filter((other) => other !== timer);
			};
		},
	});
	afterwards(() => cluster.close());
	const node = (): Promise<Running<C>> =>
		run(
			createServer(declared as Contract, {
				authenticate: ({ token }) => (token === undefined ? { id: "guest" } : { id: token }),
				log: SILENT,
				nowMs: () => nowMs,
				...options,
				broker: cluster.node(),
			}) as unknown as Running<C>["server"],
		);
	return {
		nodes: [await node(), await node()],
		nowMs: () => nowMs,
		broker: () => cluster.node(),
		forget: (channel) => cluster.forget(channel),
		pass(ms) {
			nowMs += ms;
			for (let due = timers; due.length > 0; ) {
				due = timers.filter(({ atMs }) => atMs <= nowMs);
				timers = timers.filter((timer) => !due.includes(timer));
				for (const { task } of due) {
					task();
				}
			}
		},
	};
}

/** An enveloped client that is this user. */
export function as(id: string, { url }: Pick<Running, "url">): Promise<Client> {
	return enveloped(`${url}/connect`, { headers: { authorization: `Bearer ${id}` } });
}

/** The user's client, subscribed. */
export async function subscribed(id: string, node: Pick<Running, "url">, channel: string): Promise<Client> {
	const client = await as(id, node);
	await client.ask({ action: "subscribe", channel });
	return client;
}
