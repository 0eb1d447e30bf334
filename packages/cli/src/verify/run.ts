/**
 * A run: clients under load, a plan of faults, then a quiet phase in which everything must arrive, and the judge's
 * verdict on all of it. Each event goes to the judge as it happens, and to a file where one is wanted.
 */
import { randomBytes } from "node:crypto";
import { CliError, wordsOf } from "../error.ts";
import { Injector } from "./fault/injector.ts";
import { freePort, NodeProcess } from "./fault/node-process.ts";
import { type FaultKind, PROXY_KINDS, planFaults } from "./fault/plan.ts";
import { FaultProxy, type Link } from "./fault/proxy.ts";
import { pick, type Random, seeded } from "./fault/random.ts";
import { Judge } from "./judge/judge.ts";
import type { Verdict } from "./judge/verdict.ts";
import { Attendance } from "./load/attendance.ts";
import type { Attendee } from "./load/attendee.ts";
import { type LoadClientOptions, type Publisher, WirePublisher } from "./load/publisher.ts";
import { dialling, hostOf, routesTo, sdkRoute } from "./load/route.ts";
import { SdkPublisher, SdkSubscriber } from "./load/sdk.ts";
import { type Subscriber, WireSubscriber } from "./load/subscriber.ts";
import { dial, type Route } from "./load/wire.ts";
import { settle } from "./quiet.ts";
import type { RecordEvent } from "./record/event.ts";
import { type RecordWriter, writeRecord } from "./record/record-file.ts";

export interface RunOptions {
	/** With port 0 and `start`: any free port. */
	readonly url: URL;
	readonly token: string | undefined;
	readonly seconds: number;
	readonly publishers: number;
	readonly subscribers: number;
	/** Names of channels, with `{n}` for 1 to `channels` and `{run}` for a name that no other run has. */
	readonly channelName: string;
	readonly channels: number;
	/** Messages a second, of all publishers together. */
	readonly rate: number;
	readonly faults: readonly FaultKind[];
	readonly everySeconds: number;
	/** The command that starts a node, with `{port}`; undefined: the deployment runs already. */
	readonly start: string | undefined;
	/** How many nodes are started, on the URL's port and those after it. */
	readonly nodes: number;
	readonly seed: number;
	readonly record: string | undefined;
	readonly sdk: boolean;
	/** Whether a few more clients enter and watch a presence channel. */
	readonly presence: boolean;
	/** For how long the server keeps a member whose connection is lost. */
	readonly presenceGraceSeconds: number;
	/** How much later than it is due all may know of a change of presence. */
	readonly presenceLateSeconds: number;
	/** How long after the faults everything may take to arrive. */
	readonly settleSeconds: number;
	/** Ends the load early; what there is is judged. */
	readonly stopped: AbortSignal;
	readonly progress: (progress: Progress) => void;
	/** Says what is not as it was asked for. */
	readonly note: (words: string) => void;
}

export interface Progress {
	readonly phase: "load" | "settling";
	readonly seconds: number;
	readonly acked: number;
	readonly delivered: number;
	readonly faults: number;
	readonly anomalies: number;
}

const TICK_MS = 10;
const PROGRESS_MS = 1_000;
const BEGIN_MS = 30_000;
const ATTENDEES = 5;

/** Rejects with `CliError` where there is nothing to judge: no server, no permission, a node that does not start. */
export async function verify(options: RunOptions): Promise<Verdict> {
	const run = new Run(options);
	try {
		return await run.perform();
	} finally {
		await run.end();
	}
}

class Run {
	readonly #options: RunOptions;
	readonly #judge: Judge;
	readonly #beganMs = performance.now();
	readonly #nodes: NodeProcess[] = [];
	readonly #proxies: FaultProxy[] = [];
	readonly #publishers: Publisher[] = [];
	readonly #subscribers: Subscriber[] = [];
	readonly #channels: readonly string[];
	readonly #presenceChannel: string;
	#attendance: Attendance | undefined;
	readonly #failed = Promise.withResolvers<never>();
	#writer: RecordWriter | undefined;
	#ticker: NodeJS.Timeout | undefined;
	#progress: NodeJS.Timeout | undefined;
	#phase: Progress["phase"] = "load";
	#sent = 0;

	constructor(options: RunOptions) {
		this.#options = options;
		const run = randomBytes(4).toString("hex");
		const nameOf = (n: number): string => options.channelName.replaceAll("{run}", run).replaceAll("{n}", String(n));
		this.#channels = Array.from({ length: options.channels }, (_, index) => nameOf(index + 1));
		this.#presenceChannel = nameOf(options.channels + 1);
		const { presenceGraceMs, presenceLateMs } = this.#presenceTimes;
		this.#judge = new Judge({ presenceGraceMs, presenceLateMs });
		this.#failed.promise.catch(() => {});
	}

	async perform(): Promise<Verdict> {
		const { seed, seconds, everySeconds, faults, settleSeconds, stopped } = this.#options;
		const random = seeded(seed);
		const plan = planFaults({
			random,
			kinds: faults,
			lastsMs: seconds * 1_000,
			everyMs: everySeconds * 1_000,
			publishers: names("p", this.#options.publishers),
			subscribers: names("s", this.#options.subscribers),
			attendees: names("m", this.#attendees),
			nodes: this.#options.nodes,
		});
		const url = await this.#startNodes();
		await this.#openProxies(url, random);
		await this.#createClients(url, random);
		this.#openRecord(url);
		await this.#begin();

		const injector = new Injector({
			proxies: this.#proxies,
			nodes: this.#nodes,
			link: (name) => this.#link(name),
			leave: (name) => this.#subscribers.find((each) => each.name === name)?.leave?.(),
			record: this.#record,
			now: this.#now,
			failed: (error) => this.#failed.reject(new CliError("failure", wordsOf(error), { cause: error })),
		});
		injector.start(plan);
		this.#load(random);
		try {
			await Promise.race([this.#failed.promise, pause(seconds * 1_000, stopped)]);
		} finally {
			clearInterval(this.#ticker);
			await injector.heal();
		}
		this.#phase = "settling";
		this.#record({ t: this.#now(), event: "heal", channels: this.#channels });
		this.#ticker = setInterval(() => this.#tickAll(), TICK_MS);
		await Promise.race([
			this.#failed.promise,
			settle({
				publishers: this.#publishers,
				subscribers: this.#subscribers,
				channels: this.#channels,
				forMs: settleSeconds * 1_000,
				received: () => this.#judge.totals.delivered + this.#judge.totals.acked,
				acked: this.#acked,
			}),
		]);
		await Promise.race([this.#failed.promise, this.#attendance?.settle()]);
		for (const publisher of this.#publishers) {
			publisher.stop();
		}
		this.#record({ t: this.#now(), event: "end" });
		for (const client of [...this.#subscribers, ...this.#present]) {
			client.stop();
		}
		await this.#writer?.close();
		return this.#judge.finish();
	}

	/** Ends all that the run began. */
	async end(): Promise<void> {
		clearInterval(this.#ticker);
		clearInterval(this.#progress);
		for (const client of this.#clients) {
			client.stop();
		}
		await Promise.all(this.#proxies.map((proxy) => proxy.close()));
		await Promise.all(this.#nodes.map((node) => node.kill()));
		// Of a run that failed the record has no end, and may say why. That it cannot be written has been said already.
		await this.#writer?.close().catch(() => {});
	}

	readonly #now = (): number => Math.round(performance.now() - this.#beganMs);

	/** The newest acknowledged message of each channel. */
	readonly #acked = new Map<string, { readonly epoch: string; readonly offset: number }>();

	readonly #record = (event: RecordEvent): void => {
		this.#judge.see(event);
		this.#writer?.write(event);
		if (event.event === "ack") {
			const { epoch, offset } = event;
			this.#acked.set(event.channel, { epoch, offset });
		}
	};

	async #startNodes(): Promise<URL> {
		const { url, start, nodes } = this.#options;
		if (start === undefined) {
			return url;
		}
		const own = new URL(url);
		if (own.port === "0") {
			own.port = String(await freePort());
		}
		const first = Number(own.port || (own.protocol === "wss:" ? 443 : 80));
		for (let index = 0; index < nodes; index++) {
			this.#nodes.push(new NodeProcess(start, hostOf(own), first + index));
		}
		await Promise.all(this.#nodes.map((node) => node.start()));
		return own;
	}

	/** One for each node, and only where a fault needs it. */
	async #openProxies(url: URL, random: Random): Promise<void> {
		if (this.#options.faults.every((kind) => !PROXY_KINDS.includes(kind))) {
			return;
		}
		const port = Number(url.port || (url.protocol === "wss:" ? 443 : 80));
		for (let index = 0; index < this.#options.nodes; index++) {
			this.#proxies.push(await FaultProxy.open({ host: hostOf(url), port: port + index, random }));
		}
	}

	/** The SDK does not tell where its connections come from: there, any of them will do. */
	#link(client: string): Link | undefined {
		const clients = this.#clients;
		const index = clients.findIndex(({ name }) => name === client);
		const port = clients[index]?.localPort;
		if (this.#options.sdk) {
			const links = this.#proxies.flatMap((proxy) => proxy.links);
			return links[index % links.length];
		}
		return port === undefined ? undefined : this.#proxies.map((proxy) => proxy.link(port)).find((link) => link);
	}

	/** Also finds out whether there is a server at all. */
	async #createClients(url: URL, random: Random): Promise<void> {
		const routes = routesTo(url, this.#options, this.#proxies);
		const greeting = await dial(routes[0]!, { message: () => {}, lost: () => {} }, this.#options.stopped).catch(
			(cause) => {
				throw new CliError("failure", `no WebSocket connection to ${url.origin}${url.pathname}: ${wordsOf(cause)}`, {
					cause,
				});
			},
		);
		greeting.close();
		const { durability } = greeting.hello;
		for (const name of names("p", this.#options.publishers)) {
			this.#publishers.push(
				this.#options.sdk
					? new SdkPublisher({ ...this.#about(name), ...sdkRoute(routes[0]!), durability })
					: new WirePublisher({ ...this.#about(name), ...dialling(routes, random) }),
			);
		}
		for (const name of names("s", this.#options.subscribers)) {
			this.#subscribers.push(
				this.#options.sdk
					? new SdkSubscriber({ ...this.#about(name), ...sdkRoute(routes[0]!), durability }, this.#channels)
					: new WireSubscriber({ ...this.#about(name), ...dialling(routes, random) }, this.#channels),
			);
		}
		this.#attend(routes, random);
	}

	#attend(routes: readonly Route[], random: Random): void {
		const { presenceGraceMs: graceMs, presenceLateMs: lateMs } = this.#presenceTimes;
		const about = { channel: this.#presenceChannel, graceMs, lateMs, now: this.#now, record: this.#record };
		// Whims are drawn from a seed of their own: they depend on answers, and the plan must not depend on them.
		const whims = seeded(this.#options.seed ^ 0x7072_6573);
		this.#attendance = new Attendance({ ...about, off: this.#options.note }, names("m", this.#attendees), {
			...dialling(routes, random),
			whims,
		});
	}

	/** How many; the SDK's clients are not among them. */
	get #attendees(): number {
		return this.#options.presence && !this.#options.sdk ? ATTENDEES : 0;
	}

	get #present(): readonly Attendee[] {
		return this.#attendance?.attendees ?? [];
	}

	get #presenceTimes(): { readonly presenceGraceMs: number; readonly presenceLateMs: number } {
		const { presenceGraceSeconds, presenceLateSeconds } = this.#options;
		return { presenceGraceMs: presenceGraceSeconds * 1_000, presenceLateMs: presenceLateSeconds * 1_000 };
	}

	get #clients(): readonly (Publisher | Subscriber | Attendee)[] {
		return [...this.#publishers, ...this.#subscribers, ...this.#present];
	}

	#about(name: string): Pick<LoadClientOptions, "name" | "now" | "record" | "refused"> {
		const refused = (words: string): void => this.#failed.reject(new CliError("failure", words));
		return { name, now: this.#now, record: this.#record, refused };
	}

	#openRecord(url: URL): void {
		const { record, seed, seconds, publishers, subscribers, channels, rate, faults, sdk } = this.#options;
		if (record !== undefined) {
			const about = { seconds, publishers, subscribers, channels, rate, faults, sdk };
			const shown = `${url.origin}${url.pathname}`;
			const header = { record: 1, seed, url: shown, startedAt: new Date().toISOString(), about } as const;
			this.#writer = writeRecord(record, header);
		}
	}

	/** Everybody is connected and subscribed before the first message and the first fault. */
	async #begin(): Promise<void> {
		const clients = this.#clients;
		for (const client of clients) {
			client.start();
		}
		const until = performance.now() + BEGIN_MS;
		let waits = clients;
		while (waits.length > 0 && !this.#options.stopped.aborted) {
			await Promise.race([this.#failed.promise, pause(TICK_MS, this.#options.stopped)]);
			this.#tickAll();
			const left = this.#clients;
			waits = waits.filter((client) => !client.ready && left.includes(client));
			if (performance.now() > until) {
				const { name, trouble } = waits[0]!;
				const words = `${waits.length} of ${clients.length} clients are not ready after ${BEGIN_MS / 1_000} s`;
				throw new CliError("failure", `${words}: ${name}: ${trouble || "no answer to subscribe"}`);
			}
		}
	}

	#load(random: Random): void {
		const beganMs = performance.now();
		const { rate, progress } = this.#options;
		this.#ticker = setInterval(() => {
			const nowMs = performance.now();
			this.#tickAll();
			const due = Math.floor(((nowMs - beganMs) * rate) / 1_000);
			for (; this.#sent < due; this.#sent++) {
				// Whoever can: while a node is away there may be nobody, and these are never sent.
				const start = this.#sent % this.#publishers.length;
				const turn = [...this.#publishers.slice(start), ...this.#publishers.slice(0, start)];
				turn.find(({ ready }) => ready)?.publish(pick(random, this.#channels));
			}
		}, TICK_MS);
		this.#progress = setInterval(() => {
			const { totals, findings } = this.#judge;
			progress({
				phase: this.#phase,
				seconds: Math.round((performance.now() - beganMs) / 1_000),
				acked: totals.acked,
				delivered: totals.delivered,
				faults: totals.faults,
				anomalies: findings.total,
			});
		}, PROGRESS_MS);
	}

	#tickAll(): void {
		const nowMs = performance.now();
		for (const client of this.#clients) {
			client.tick(nowMs);
		}
	}
}

function names(prefix: string, count: number): readonly string[] {
	return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** Resolves after so long, or when it is stopped. */
function pause(ms: number, stopped: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const end = (): void => {
			clearTimeout(timer);
			stopped.removeEventListener("abort", end);
			resolve();
		};
		const timer = setTimeout(end, ms);
		stopped.addEventListener("abort", end);
		if (stopped.aborted) {
			end();
		}
	});
}
