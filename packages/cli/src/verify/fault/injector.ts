/** Carries out a plan of faults on proxies and nodes, and undoes all of it in the end. */
import { wordsOf } from "../../error.ts";
import type { Recorder } from "../record/event.ts";
import type { NodeProcess } from "./node-process.ts";
import type { Fault } from "./plan.ts";
import type { FaultProxy, Link } from "./proxy.ts";

export interface InjectorOptions {
	readonly proxies: readonly FaultProxy[];
	/** Those that the run has started; none where it found the deployment running. */
	readonly nodes: readonly NodeProcess[];
	/** A client's present connection; undefined where it has none. */
	readonly link: (client: string) => Link | undefined;
	/** Has a subscriber unsubscribe and come back. */
	readonly leave: (client: string) => void;
	readonly record: Recorder;
	readonly now: () => number;
	/** A node did not come back: the run cannot go on. */
	readonly failed: (error: unknown) => void;
}

export class Injector {
	readonly #options: InjectorOptions;
	readonly #timers = new Set<NodeJS.Timeout>();
	/** The node's present restart, so that one follows the other. */
	#restart: Promise<void> = Promise.resolve();

	constructor(options: InjectorOptions) {
		this.#options = options;
	}

	start(plan: readonly Fault[]): void {
		for (const fault of plan) {
			this.#after(fault.atMs, () => this.#inject(fault));
		}
	}

	/** No more faults; what lasts is ended. Resolves when every node runs. */
	async heal(): Promise<void> {
		for (const timer of this.#timers) {
			clearTimeout(timer);
		}
		this.#timers.clear();
		for (const proxy of this.#options.proxies) {
			proxy.heal();
		}
		await this.#restart;
	}

	#after(ms: number, act: () => void): void {
		const timer = setTimeout(() => {
			this.#timers.delete(timer);
			act();
		}, ms);
		this.#timers.add(timer);
	}

	#inject(fault: Fault): void {
		const { kind, clients, forMs, delayMs, pieceBytes } = fault;
		const links = clients.flatMap((client) => this.#options.link(client) ?? []);
		switch (kind) {
			case "cut":
				this.#say(fault, `${links.length} connections`);
				for (const link of links) {
					link.cut();
				}
				break;
			case "stall":
				this.#stall(fault, links, forMs, (link) => link.heal());
				break;
			case "leave":
				this.#say(fault, clients.join(", "));
				clients.forEach(this.#options.leave);
				break;
			case "acks":
				this.#stall(fault, links, forMs, (link) => link.cut());
				break;
			case "delay":
				this.#disturb(fault, forMs, (link) => {
					link.toServer.disturb({ delayMs, jitterMs: delayMs });
					link.toClient.disturb({ delayMs, jitterMs: delayMs });
				});
				break;
			case "split":
				this.#disturb(fault, forMs, (link) => {
					link.toServer.disturb({ pieceBytes });
					link.toClient.disturb({ pieceBytes });
				});
				break;
			case "kill":
			case "drain":
				this.#restart = this.#restart.then(() => this.#replace(fault)).catch(this.#options.failed);
				break;
			default:
				kind satisfies never;
		}
	}

	#stall(fault: Fault, links: readonly Link[], forMs: number, end: (link: Link) => void): void {
		this.#say(fault, `${links.length} connections for ${forMs} ms`);
		for (const link of links) {
			link.toClient.stall();
		}
		this.#after(forMs, () => links.forEach(end));
	}

	#disturb(fault: Fault, forMs: number, disturb: (link: Link) => void): void {
		this.#say(fault, `all connections for ${forMs} ms`);
		for (const proxy of this.#options.proxies) {
			proxy.disturbAll(disturb);
			this.#after(forMs, () => proxy.heal());
		}
	}

	async #replace(fault: Fault): Promise<void> {
		const node = this.#options.nodes[fault.node];
		if (node === undefined) {
			return;
		}
		this.#say(fault, `the node on port ${node.port}`);
		if (fault.kind === "kill") {
			await node.kill();
		} else if (!(await node.drain())) {
			this.#say(fault, `the node on port ${node.port} did not stop by itself and was killed`);
		}
		try {
			await node.start();
		} catch (cause) {
			throw new Error(`a node did not come back: ${wordsOf(cause)}`, { cause });
		}
	}

	#say({ kind }: Fault, target: string): void {
		this.#options.record({ t: this.#options.now(), event: "fault", kind, target });
	}
}
