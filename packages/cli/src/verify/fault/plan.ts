/**
 * What is done when, and to whom: drawn from a seed before the run, so that the seed repeats it. What the network and
 * the machine make of it is theirs. Pure.
 */
import { between, pick, type Random } from "./random.ts";

export const FAULT_KINDS = {
	cut: "connections are cut",
	stall: "subscribers read nothing for a while",
	leave: "subscribers unsubscribe, and come back with their positions",
	acks: "publishers' acknowledgements are held back, and the connections then cut",
	delay: "everything comes late, with jitter",
	split: "bytes come in small pieces",
	kill: "a node is killed (SIGKILL) and started again",
	drain: "a node is told to stop (SIGTERM) and started again",
} as const;

export type FaultKind = keyof typeof FAULT_KINDS;

export const KINDS = Object.keys(FAULT_KINDS) as readonly FaultKind[];

/** Those that need nodes that were started by the run itself. */
export const NODE_KINDS: readonly FaultKind[] = ["kill", "drain"];

/** Those that need a proxy on the way. */
export const PROXY_KINDS: readonly FaultKind[] = ["cut", "stall", "acks", "delay", "split"];

export interface Fault {
	readonly atMs: number;
	readonly kind: FaultKind;
	/** Names of clients, or none where it goes for all. */
	readonly clients: readonly string[];
	/** Which node, from 0; 0 where it does not matter. */
	readonly node: number;
	/** How long it lasts, where it does. */
	readonly forMs: number;
	readonly delayMs: number;
	readonly pieceBytes: number;
}

export interface PlanOptions {
	readonly random: Random;
	readonly kinds: readonly FaultKind[];
	readonly lastsMs: number;
	readonly everyMs: number;
	readonly publishers: readonly string[];
	readonly subscribers: readonly string[];
	/** Members of the presence channel. */
	readonly attendees: readonly string[];
	readonly nodes: number;
}

/** A fault each `everyMs`; every kind comes before one comes again. */
export function planFaults(options: PlanOptions): readonly Fault[] {
	const { random, kinds, lastsMs, everyMs } = options;
	const plan: Fault[] = [];
	let left: FaultKind[] = [];
	for (let atMs = everyMs; kinds.length > 0 && atMs < lastsMs; atMs += everyMs) {
		left = left.length === 0 ? [...kinds] : left;
		const kind = pick(random, left);
		left = left.filter((each) => each !== kind);
		plan.push({
			atMs,
			kind,
			clients: clientsOf(options, kind),
			node: between(random, 0, options.nodes - 1),
			forMs: Math.round(everyMs * (0.3 + 0.5 * random())),
			delayMs: between(random, 5, 150),
			pieceBytes: between(random, 1, 40),
		});
	}
	return plan;
}

function clientsOf({ random, publishers, subscribers, attendees }: PlanOptions, kind: FaultKind): readonly string[] {
	switch (kind) {
		case "cut":
			return some(random, [...publishers, ...subscribers, ...attendees]);
		case "stall":
		case "leave":
			return some(random, subscribers);
		case "acks":
			return some(random, publishers);
		default:
			return [];
	}
}

/** From one of them to half of them. */
function some(random: Random, names: readonly string[]): readonly string[] {
	const left = [...names];
	return Array.from({ length: between(random, 1, Math.max(1, Math.floor(names.length / 2))) }, () => {
		return left.splice(Math.floor(random() * left.length), 1);
	}).flat();
}
