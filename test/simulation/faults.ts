/** Does to a simulation what its scenario says, and makes whole what is still harmed in the end. */
import type { MemoryCluster } from "@tidewire/broker";
import type { Subscriber } from "../../packages/cli/src/verify/load/subscriber.ts";
import type { Network } from "./network.ts";
import type { Node } from "./node.ts";
import type { Fault, Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

export interface Harmed {
	readonly world: World;
	readonly network: Network;
	readonly nodes: readonly Node[];
	readonly cluster: Pick<MemoryCluster, "forget">;
	readonly subscribers: readonly Subscriber[];
	readonly channels: readonly string[];
	/** It is told of each fault as it happens. */
	readonly happened: (kind: string, target: string) => void;
}

/** A client that is told nothing finds out by itself in less than this. */
const LATE_MS = 500;
const DRAIN_MS = 300;

export class Faults {
	readonly #harmed: Harmed;
	/** What undoes the faults under way; each does its work once. */
	readonly #undo = new Set<() => void>();

	constructor(harmed: Harmed) {
		this.#harmed = harmed;
	}

	/** Puts all of them on the clock. */
	plan({ faults }: Scenario): void {
		for (const fault of faults) {
			this.#harmed.world.after(fault.atMs, () => this.#happen(fault), "faults");
		}
	}

	/** Ends all that lasts. */
	heal(): void {
		for (const undo of [...this.#undo]) {
			undo();
		}
	}

	#happen(fault: Fault): void {
		const { kind, whom } = fault;
		if (kind === "forget") {
			const channel = of(this.#harmed.channels, whom);
			this.#harmed.happened(kind, channel ?? "");
			this.#harmed.cluster.forget(channel ?? "");
		} else if (kind === "leave") {
			this.#harmed.happened(kind, "subscribers");
			for (const subscriber of this.#harmed.subscribers) {
				subscriber.leave?.();
			}
		} else if (kind === "cut" || kind === "twin" || kind === "hush" || kind === "stall") {
			this.#harmLink(kind, fault);
		} else {
			const node = of(this.#harmed.nodes, whom);
			if (node?.owner !== undefined) {
				this.#harmed.happened(kind, node.owner);
				this.#harmNode(kind, fault, node);
			}
		}
	}

	#harmLink(kind: "cut" | "twin" | "hush" | "stall", { whom, forMs }: Fault): void {
		const { network, happened, world } = this.#harmed;
		const link = of(network.whole, whom);
		if (link === undefined) {
			return;
		}
		happened(kind, `link ${link.number}`);
		if (kind === "stall") {
			this.#lasting(link.down.hold(), forMs);
		} else if (kind === "cut") {
			link.cut(world.random() * LATE_MS, world.random() * LATE_MS);
		} else if (kind === "twin") {
			link.cut(0, world.random() < 0.5 ? undefined : world.random() * 10 * LATE_MS);
		} else {
			link.cut(undefined, undefined);
		}
	}

	#harmNode(kind: Fault["kind"], { forMs }: Fault, node: Node): void {
		const { network, world } = this.#harmed;
		const { broker, owner = "" } = node;
		const restart = (): void => {
			if (node.owner === undefined) {
				node.start();
			}
		};
		if (kind === "partition") {
			this.#lasting(network.partition(node), forMs);
		} else if (kind === "kill" || kind === "crash") {
			node.kill();
			network.killed(owner, kind === "crash");
			this.#lasting(restart, forMs);
		} else if (kind === "drain") {
			node.drain(world.random() < 0.5 ? 0 : DRAIN_MS, () => {
				network.killed(owner, false);
				world.after(forMs, restart, "faults");
			});
		} else if (kind === "away" && broker !== undefined) {
			broker.away = true;
			this.#lasting(() => {
				broker.away = false;
			}, forMs);
		} else if (kind === "deaf" && broker !== undefined) {
			broker.deaf = true;
			this.#lasting(() => {
				broker.deaf = false;
			}, forMs);
		} else if (kind === "slow" && broker !== undefined) {
			broker.delayMs = 200;
			this.#lasting(() => {
				broker.delayMs = 0;
			}, forMs);
		}
	}

	#lasting(end: () => void, forMs: number): void {
		const undo = (): void => {
			if (this.#undo.delete(undo)) {
				end();
			}
		};
		this.#undo.add(undo);
		this.#harmed.world.after(forMs, undo, "faults");
	}
}

function of<T>(list: readonly T[], whom: number): T | undefined {
	return list[Math.floor(whom * list.length)];
}
