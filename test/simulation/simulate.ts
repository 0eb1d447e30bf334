/**
 * One simulation: servers, clients and broker of a scenario on one virtual clock, judged by the judge of `tidewire
 * verify`. What it gives depends on the seed only. To be called in a thread whose globals have been replaced.
 */
import { createMemoryCluster } from "@tidewire/broker";
import { action, channel, contract } from "@tidewire/contract";
import * as valibot from "valibot";
import { Judge } from "../../packages/cli/src/verify/judge/judge.ts";
import { type Publisher, WirePublisher } from "../../packages/cli/src/verify/load/publisher.ts";
import { SdkPublisher, SdkSubscriber } from "../../packages/cli/src/verify/load/sdk.ts";
import { type Subscriber, WireSubscriber } from "../../packages/cli/src/verify/load/subscriber.ts";
import { settle } from "../../packages/cli/src/verify/quiet.ts";
import type { Position, RecordEvent } from "../../packages/cli/src/verify/record/event.ts";
import { ACTION, Attendee, disagreement, type Performed, ROOM } from "./attendee.ts";
import type { Bug } from "./bugs.ts";
import { ClientSocket, useNetwork } from "./client-socket.ts";
import { Faults } from "./faults.ts";
import { replaceGlobals } from "./globals.ts";
import { Network } from "./network.ts";
import { Node } from "./node.ts";
import { OutboxPublisher } from "./outbox-publisher.ts";
import { ENOUGH_HISTORY, type Scenario, scenarioOf } from "./scenario.ts";
import { dialAs } from "./wire.ts";
import { World } from "./world.ts";

export interface SimulateOptions {
	/** What is wrong on purpose. */
	readonly bug?: Bug | undefined;
	/** In place of what the seed says. */
	readonly scenario?: Partial<Scenario>;
	/** Whether to keep what happened, in words. */
	readonly trace?: boolean;
}

export interface Outcome {
	readonly seed: number;
	/** What was wrong, in words; empty where nothing was. */
	readonly wrong: readonly string[];
	/** What is wrong, and known to be: to be repaired elsewhere. */
	readonly known: readonly string[];
	/** By counter of the judge. */
	readonly counts: Readonly<Record<string, number>>;
	readonly steps: number;
	readonly acknowledged: number;
	readonly delivered: number;
	/** A digest of all that happened: the same for the same seed. */
	readonly digest: number;
	readonly trace: readonly string[];
}

/** Far more than any simulation takes. */
const MAX_STEPS = 200_000;
/** How often clients look after themselves. */
const TICK_MS = 250;
/** How long nothing may arrive after the faults before it is taken for stuck. */
const QUIET_MS = 20_000;
const CONNECT_MS = 2_000;
/** How long it may take until no client holds on to a connection that is gone: longer than any heartbeat. */
const RECOVERY_MS = 60_000;
/** A node that was not told of a member reads the records of a room about once a minute. */
const AGREEMENT_MS = 120_000;
/** Shorter than usual, so that it happens within a simulation. */
const SERVER = { heartbeat: { intervalMs: 2_000, timeoutMs: 1_000 }, presenceGraceMs: 4_000 };
const FIRST_MS = 1_000_000;

let present = new World(0);
let uncaught: (cause: unknown) => void = () => {};

/** To be called once in a thread, before anything else. */
export function prepareThread(): void {
	replaceGlobals(() => present, ClientSocket);
	process.on("uncaughtException", (cause) => uncaught(cause));
	process.on("unhandledRejection", (cause) => uncaught(cause));
}

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
	const world = new World(seed);
	present = world;
	const run = new Run({ ...scenarioOf(seed), ...options.scenario }, world, options);
	uncaught = run.failed;
	const undo = options.bug?.install?.();
	try {
		const ended = await world.run(() => run.over, run.failed, MAX_STEPS);
		if (ended !== "done") {
			run.failed(new Error(ended === "endless" ? `more than ${MAX_STEPS} steps` : "nothing happens any more"));
		}
		return run.outcome();
	} finally {
		undo?.();
	}
}

class Run {
	over = false;
	readonly #scenario: Scenario;
	readonly #world: World;
	readonly #options: SimulateOptions;
	readonly #judge = new Judge({ examples: 3 });
	readonly #wrong: string[] = [];
	readonly #trace: string[] = [];
	#digest = 0;
	#received = 0;
	readonly #performed: Performed = new Map();
	readonly #acked = new Map<string, Position>();
	#forgot = false;

	constructor(scenario: Scenario, world: World, options: SimulateOptions) {
		this.#scenario = scenario;
		this.#world = world;
		this.#options = options;
		world.after(0, () => void this.#main().catch(this.failed), "run");
	}

	readonly failed = (cause: unknown): void => {
		this.#wrong.push(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
		if (cause instanceof Error && cause.cause instanceof Error) {
			this.#wrong.push(`because of ${cause.cause.stack}`);
		}
		this.over = true;
	};

	async #main(): Promise<void> {
		const world = this.#world;
		const { seed, nodes: count, healMs, latencyMs, windowBytes, splits, channels, bursts } = this.#scenario;
		const { bug } = this.#options;
		let epochs = 0;
		const cluster = createMemoryCluster({
			now: () => Date.now(),
			epoch: bug?.epoch ?? (() => `e${++epochs}`),
			maxLogBytes: 1_048_576,
			slabBytes: 4_096,
		});
		const { historyMessages, maxLogBytes, brokerLatencyMs, windowMs } = this.#scenario;
		const history = { messages: historyMessages };
		const declared = contract({
			channels: { a: channel({ history }), b: channel({ history }), [ROOM]: channel() },
			actions: { [ACTION]: action({ input: valibot.object({ n: valibot.number() }) }) },
		});
		const nodes = Array.from(
			{ length: count },
			(_, index) =>
				new Node(`n${index}`, world, {
					contract: declared,
					server: { limits: { maxLogBytes }, windowMs, ...SERVER },
					count: (user, n) => this.#count(user, n),
					broker: () => bug?.broker?.(cluster.node(), world) ?? cluster.node(),
					brokerLatencyMs,
					failed: this.failed,
				}),
		);
		const network = new Network(world, nodes, { latencyMs, windowBytes, splits });
		useNetwork(network);
		for (const node of nodes) {
			node.start();
		}
		const publishers = this.#publishers();
		const subscribers = this.#subscribers();
		const attendees = this.#attendees();
		const everybody = [...subscribers, ...publishers, ...attendees];
		for (const each of everybody) {
			world.after(0, () => each.start(), "clients");
		}
		const tick = (): void => {
			world.after(TICK_MS, tick, "clients");
			for (const each of everybody) {
				each.tick(performance.now());
			}
		};
		world.after(TICK_MS, tick, "clients");
		const faults = new Faults({
			world,
			network,
			nodes,
			cluster,
			subscribers,
			channels,
			happened: (kind, target) => {
				this.#forgot ||= kind === "forget";
				this.#record({ t: this.#now(), event: "fault", kind, target });
			},
		});
		// Subscribers that come late miss what they are not owed: with them there, more is judged.
		for (let waited = 0; waited < CONNECT_MS && !everybody.every(({ ready }) => ready); waited += 5) {
			await passed(5);
		}
		faults.plan(this.#scenario);
		for (const { atMs, publisher, channel, messages } of bursts) {
			world.after(atMs, () => publish(publishers[publisher], channels[channel], messages), "clients");
		}
		for (const { atMs } of attendees.length > 0 ? bursts : []) {
			world.after(atMs, () => attendees[Math.floor(atMs) % attendees.length]?.call(), "clients");
		}
		for (const [index, atMs] of (this.#scenario.reloads ?? []).entries()) {
			const publisher = publishers[index % publishers.length];
			world.after(atMs, () => publisher instanceof OutboxPublisher && publisher.reload(network), "faults");
		}
		await passed(healMs);
		faults.heal();
		this.#record({ t: this.#now(), event: "heal", channels });
		// A message that is sent on a dead connection may stay unanswered: that proves nothing about what comes after.
		for (let waited = 0; waited < RECOVERY_MS && !isWell(nodes, network); waited += 50) {
			await passed(50);
		}
		const received = (): number => this.#received;
		await settle({ publishers, subscribers, channels, forMs: QUIET_MS, received, acked: this.#acked });
		for (let waited = 0; waited < AGREEMENT_MS && !isAgreed(attendees); waited += 100) {
			await passed(100);
		}
		this.#judgeAttendees(attendees);
		this.#record({ t: this.#now(), event: "end" });
		if (this.#options.trace === true) {
			this.#trace.push(`seed ${seed}: ${JSON.stringify(this.#scenario)}`);
		}
		this.over = true;
	}

	#publishers(): Publisher[] {
		const { publishers, clients, reloads } = this.#scenario;
		return Array.from({ length: publishers }, (_, index) => {
			const name = `pub${index}`;
			if (!isSdk(clients, index)) {
				return new WirePublisher({ ...this.#clientOptions(name) });
			}
			return reloads === undefined
				? new SdkPublisher(this.#sdkOptions(name))
				: new OutboxPublisher(this.#sdkOptions(name), this.#world);
		});
	}

	#subscribers(): Subscriber[] {
		const { subscribers, clients, channels } = this.#scenario;
		return Array.from({ length: subscribers }, (_, index) => {
			const name = `sub${index}`;
			return isSdk(clients, index)
				? new SdkSubscriber(this.#sdkOptions(name), channels)
				: new WireSubscriber(this.#clientOptions(name), channels);
		});
	}

	#attendees(): Attendee[] {
		return Array.from({ length: this.#scenario.attendees }, (_, index) => {
			const name = `att${index}`;
			return new Attendee({
				name,
				performed: this.#performed,
				note: (what) => this.#note(`${name} ${what}`),
				wrong: (what) => this.#wrong.push(what),
				dial: dialAs(name),
				random: this.#world.random,
			});
		});
	}

	/** The action that is called. */
	async #count(user: string, n: number): Promise<{ readonly n: number }> {
		const key = `${user}:${n}`;
		this.#note(`${this.#world.owner} performs call ${n} of ${user}`);
		this.#performed.set(key, (this.#performed.get(key) ?? 0) + 1);
		await passed(this.#world.random() * 50);
		return { n };
	}

	#judgeAttendees(attendees: readonly Attendee[]): void {
		const found = disagreement(attendees);
		if (found !== undefined) {
			this.#wrong.push(found);
		}
		for (const [call, times] of this.#performed) {
			if (times > 1) {
				this.#wrong.push(`calls: ${call} was performed ${times} times`);
			}
		}
		if (!attendees.every(({ ready }) => ready)) {
			this.#wrong.push("calls: one was never answered, or a list was not");
		}
	}

	#clientOptions(name: string): ConstructorParameters<typeof WirePublisher>[0] {
		return {
			name,
			now: () => this.#now(),
			record: this.#record,
			refused: (words) => this.failed(new Error(words)),
			dial: dialAs(name),
			random: this.#world.random,
		};
	}

	#sdkOptions(name: string): ConstructorParameters<typeof SdkPublisher>[0] {
		const { dial: _, random: __, ...options } = this.#clientOptions(name);
		return { ...options, url: new URL("ws://nodes/connect"), token: name, durability: "memory" };
	}

	readonly #record = (event: RecordEvent): void => {
		this.#judge.see(event);
		if (event.event === "message" || event.event === "ack") {
			this.#received++;
		}
		if (event.event === "ack") {
			const known = this.#acked.get(event.channel);
			if (known === undefined || known.epoch !== event.epoch || known.offset < event.offset) {
				this.#acked.set(event.channel, { epoch: event.epoch, offset: event.offset });
			}
		}
		const { t: _, event: name, ...fields } = event;
		this.#note(`${name.padEnd(12)} ${JSON.stringify(fields)}`);
	};

	#note(what: string): void {
		const line = `${this.#now().toFixed(2).padStart(10)}  ${what}`;
		for (let index = 0; index < line.length; index++) {
			this.#digest = (Math.imul(this.#digest, 31) + line.charCodeAt(index)) | 0;
		}
		if (this.#options.trace === true) {
			this.#trace.push(line);
		}
	}

	#now(): number {
		return this.#world.nowMs - FIRST_MS;
	}

	/** Whether everything is still kept: then nobody may be told that something is not. */
	get #keptAll(): boolean {
		return !this.#forgot && this.#scenario.historyMessages >= ENOUGH_HISTORY;
	}
	/**
	 * The SDK sends publishes one behind the other without `after`: where the broker refuses one and takes the next, and the
	 * refusal is lost, the first is sent again and comes second.
	 */
	#isKnown(text: string): boolean {
		const publisher = /^reorder: pub(\d+) /.exec(text)?.[1];
		return (
			this.#options.bug === undefined && publisher !== undefined && isSdk(this.#scenario.clients, Number(publisher))
		);
	}

	outcome(): Outcome {
		const { counts, examples, figures } = this.#judge.finish();
		const { announcedLosses, acknowledged, delivered } = figures;
		const found = examples.map(({ counter, text }) => `${counter}: ${text}`);
		const known = found.filter((text) => this.#isKnown(text));
		const wrong = [...this.#wrong, ...found.filter((text) => !this.#isKnown(text))];
		if (this.#keptAll && Object.keys(announcedLosses).length > 0) {
			wrong.push(`needless: told of a loss, though everything is kept: ${JSON.stringify(announcedLosses)}`);
		}
		return {
			seed: this.#scenario.seed,
			wrong,
			known,
			counts,
			steps: this.#world.steps,
			acknowledged,
			delivered,
			digest: this.#digest,
			trace: this.#trace,
		};
	}
}

function isAgreed(attendees: readonly Attendee[]): boolean {
	return attendees.every(({ ready }) => ready) && disagreement(attendees) === undefined;
}

/** Whether all nodes are there, and nobody holds on to a connection that is gone. */
function isWell(nodes: readonly Node[], { links }: Network): boolean {
	return nodes.every(({ up }) => up) && links.every(({ whole, client }) => whole || client.readyState === 3);
}

function isSdk(clients: Scenario["clients"], index: number): boolean {
	return clients === "sdk" || (clients === "both" && index % 2 === 0);
}

function publish(publisher: Publisher | undefined, channel: string | undefined, messages: number): void {
	for (let count = 0; count < messages; count++) {
		// A raw client has nowhere to keep what it cannot send.
		if (
			publisher !== undefined &&
			channel !== undefined &&
			(!(publisher instanceof WirePublisher) || publisher.ready)
		) {
			publisher.publish(channel);
		}
	}
}

/** On the virtual clock. */
function passed(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}
