/**
 * A load process: opens its part of the clients, reads what they are sent, and keeps the books. Started by `crew.ts`,
 * which speaks to it over Node's own channel between processes; it ends with that channel.
 */
import { readFileSync } from "node:fs";
import { wordsOf } from "../error.ts";
import { addCounts, Continuity, NOTHING_COUNTED } from "./continuity.ts";
import { channelName, type Delivery, nowMicros } from "./delivery.ts";
import { Histogram } from "./histogram.ts";
import { type Fields, LoadClient, type LoadListener, offsetOf } from "./load-client.ts";
import type { News, OpenOrder, Order, WorkerFigures } from "./load-task.ts";

const PROGRESS_EVERY_MS = 250;
const LOOK_EVERY_MS = 20;
const LEAST_SHARED_MICROS = 100_000;

/** Each client's subscriptions by the channel's number. */
const books = new Map<LoadClient, Map<number, Continuity>>();
/** Kept, so that their connections are. */
const stalled: LoadClient[] = [];
/** Clients that the server hung up on: for what they lack nobody waits. */
const gone = new Set<LoadClient>();
const latency = new Histogram();
let deliveries = 0;
let measured = 0;
/** Offsets that came or were announced as not coming, in all subscriptions. */
let accounted = 0;
let roundSize = Number.POSITIVE_INFINITY;
let rounds = 0;
let fromMicros = Number.POSITIVE_INFINITY;
let closed = 0;
let closedWhy: string | undefined;
let usedBefore = { cpuMicros: 0, waitedMs: 0, atMicros: nowMicros() };

const listener: LoadListener = {
	message(client, delivery) {
		count(books.get(client)?.get(delivery.channel), delivery);
	},
	event(client, event) {
		take(client, event);
	},
	error: (_client, error) => fail(`the server reports ${error.message} (${error.code})`),
	closed(client, why) {
		gone.add(client);
		closed++;
		closedWhy ??= why;
	},
};

function count(book: Continuity | undefined, { offset, previous, dueMicros }: Delivery): void {
	if (book === undefined) {
		return;
	}
	deliveries++;
	if (dueMicros >= fromMicros) {
		measured++;
		latency.record(nowMicros() - dueMicros);
	}
	account(book.message(offset, previous));
}

function account(steps: number): void {
	accounted += steps;
	while (accounted >= roundSize * (rounds + 1)) {
		rounds++;
		say({ say: "round", rounds });
	}
}

function take(client: LoadClient, { channel, event, from, to, position, error }: Fields): void {
	const subscriptions = books.get(client);
	const book = [...(subscriptions ?? [])].find(([number]) => channelName(order!, number) === channel)?.[1];
	if (book === undefined) {
		return;
	}
	switch (event) {
		case "gap":
			account(book.gap(Number(from), Number(to)));
			break;
		case "conflated":
			book.conflated(Number(to));
			break;
		case "reset":
			book.reset(offsetOf(position));
			break;
		case "unsubscribed":
			closed++;
			closedWhy ??= `the subscription was ended: ${JSON.stringify(error)}`;
			break;
	}
}

let order: OpenOrder | undefined;

async function open(given: OpenOrder): Promise<void> {
	order = given;
	const before = usage();
	const micros = new Histogram();
	let next = 0;
	const openNext = async (): Promise<void> => {
		while (next < given.clients) {
			const index = given.first + next++;
			const beganMicros = nowMicros();
			await openOne(given, index);
			micros.record(nowMicros() - beganMicros);
		}
	};
	await Promise.all(Array.from({ length: Math.min(given.atOnce, given.clients) }, openNext));
	roundSize = given.roundMessages === undefined ? roundSize : given.roundMessages * countSubscriptions();
	const used = usage();
	const cpuShare = shareOf(used.cpuMicros - before.cpuMicros, used.atMicros - before.atMicros);
	say({ say: "opened", opening: { opened: books.size + stalled.length, micros: micros.counts(), cpuShare } });
}

async function openOne(given: OpenOrder, index: number): Promise<void> {
	const client = await LoadClient.open(given.target, given, listener);
	const subscriptions = new Map<number, Continuity>();
	books.set(client, subscriptions);
	const channels = given.every ? Array.from({ length: given.channels }, (_, at) => at) : [index % given.channels];
	await Promise.all(
		channels.map(async (channel) => {
			subscriptions.set(channel, new Continuity(await client.subscribe(channelName(given, channel))));
		}),
	);
	if (index < given.stalled) {
		client.stall();
		books.delete(client);
		stalled.push(client);
	}
}

function countSubscriptions(): number {
	let subscriptions = 0;
	for (const channels of books.values()) {
		subscriptions += channels.size;
	}
	return subscriptions;
}

/** Waits until every subscription is at its channel's head, or nothing has moved for too long. */
async function settle(heads: readonly number[], patienceMs: number): Promise<void> {
	const used = usage();
	let moved = performance.now();
	let before = accounted;
	while (!isSettled(heads) && performance.now() - moved < patienceMs) {
		await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
		if (accounted !== before) {
			before = accounted;
			moved = performance.now();
		}
	}
	let continuity = NOTHING_COUNTED;
	for (const subscriptions of books.values()) {
		for (const [channel, book] of subscriptions) {
			continuity = addCounts(continuity, book.counts(heads[channel] ?? 0));
		}
	}
	const elapsedMicros = used.atMicros - usedBefore.atMicros;
	const figures: WorkerFigures = {
		deliveries: measured,
		latency: latency.counts(),
		cpuShare: shareOf(used.cpuMicros - usedBefore.cpuMicros, elapsedMicros),
		waitedShare: shareOf((used.waitedMs - usedBefore.waitedMs) * 1_000, elapsedMicros),
		continuity,
		subscriptions: countSubscriptions(),
		closed,
		closedWhy,
	};
	say({ say: "settled", figures });
}

function isSettled(heads: readonly number[]): boolean {
	for (const [client, subscriptions] of books) {
		for (const [channel, book] of subscriptions) {
			if (!gone.has(client) && book.offset < (heads[channel] ?? 0)) {
				return false;
			}
		}
	}
	return true;
}

/** Of what was over at once a share would say nothing. */
function shareOf(micros: number, elapsedMicros: number): number {
	return micros / Math.max(LEAST_SHARED_MICROS, elapsedMicros);
}

function usage(): typeof usedBefore {
	const { user, system } = process.cpuUsage();
	return { cpuMicros: user + system, waitedMs: waitedMs(), atMicros: nowMicros() };
}

/** For how long this process was ready to run and something else ran. 0 where the kernel does not say. */
function waitedMs(): number {
	try {
		return Number(readFileSync("/proc/self/schedstat", "latin1").split(" ")[1]) / 1e6;
	} catch {
		return 0;
	}
}

function say(news: News): void {
	process.send?.(news);
}

function fail(message: string): void {
	say({ say: "failed", message });
}

function obey(given: Order): void | Promise<void> {
	switch (given.do) {
		case "open":
			return open(given);
		case "count":
			fromMicros = given.fromMicros;
			usedBefore = usage();
			setTimeout(
				() => {
					usedBefore = usage();
				},
				Math.max(0, (fromMicros - nowMicros()) / 1_000),
			);
			return;
		case "settle":
			return settle(given.heads, given.patienceMs);
	}
}

const progress = setInterval(() => {
	if (order !== undefined && rounds === 0 && deliveries === 0) {
		say({ say: "opening", opened: books.size + stalled.length });
	}
	say({ say: "delivered", deliveries });
}, PROGRESS_EVERY_MS);

// A Ctrl-C goes to every process of the terminal. The bench decides what becomes of it, and ends us by hanging up.
process.on("SIGINT", () => {});
process.on("disconnect", () => {
	clearInterval(progress);
	process.exit();
});
process.on("message", (given: Order) => {
	Promise.resolve(obey(given)).catch((error: unknown) => fail(wordsOf(error)));
});
