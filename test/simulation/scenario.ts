/** What happens in one simulation, drawn from its seed: who takes part, how the network is, what goes wrong and when. Pure. */
import { between, pick, type Random, seeded } from "../../packages/cli/src/verify/fault/random.ts";

export const FAULT_KINDS = {
	cut: "a connection is cut, and both ends learn it sooner or later",
	twin: "a connection is cut, and the client is back before the server has noticed",
	hush: "a connection dies without a word at either end",
	stall: "a client reads nothing for a while",
	partition: "a node cannot be reached for a while",
	kill: "a node's process ends at once; it is started again",
	crash: "a node's machine ends at once, and says nothing to those connected; it is started again",
	drain: "a node is told to go, and is started again",
	away: "the broker refuses a node's calls for a while",
	slow: "the broker takes its time with one node",
	deaf: "a node is not told of what happens at the broker for a while",
	forget: "the broker loses a channel's log",
	leave: "subscribers unsubscribe, and come back with their positions",
} as const;

export type FaultKind = keyof typeof FAULT_KINDS;

export interface Fault {
	readonly kind: FaultKind;
	readonly atMs: number;
	readonly forMs: number;
	/** Below 1: which of those that there are then. */
	readonly whom: number;
}

/** Some messages at one moment. */
export interface Burst {
	readonly atMs: number;
	readonly publisher: number;
	readonly channel: number;
	readonly messages: number;
}

export interface Scenario {
	readonly seed: number;
	readonly clients: "wire" | "sdk" | "both";
	readonly nodes: number;
	readonly publishers: number;
	readonly subscribers: number;
	/** When a publisher's page is gone, and the next one goes on; undefined: the SDK's publishers have no outbox. */
	readonly reloads: readonly number[] | undefined;
	/** Who is in a room, and calls an action. */
	readonly attendees: number;
	readonly channels: readonly string[];
	/** How many messages the broker keeps of a channel. */
	readonly historyMessages: number;
	/** What a node keeps of a channel for laggards. */
	readonly maxLogBytes: number;
	/** For how long a session outlives its connection, and an id is known. */
	readonly windowMs: number;
	readonly latencyMs: number;
	readonly windowBytes: number;
	readonly splits: number;
	readonly brokerLatencyMs: number;
	readonly bursts: readonly Burst[];
	readonly faults: readonly Fault[];
	/** When the last of them is over, and all that was harmed is made whole. */
	readonly healMs: number;
}

export const ENOUGH_HISTORY = 1_000;
const KINDS = Object.keys(FAULT_KINDS) as readonly FaultKind[];

export function scenarioOf(seed: number): Scenario {
	// Not the run's own numbers, so that a change of what happens does not change what is meant to happen.
	const random: Random = seeded(seed ^ 0x5eed);
	const publishers = between(random, 1, 2);
	const channels = pick(random, [["a"], ["a"], ["a", "b"]]);
	const loadMs = between(random, 200, 2_000);
	const clients = pick(random, ["wire", "wire", "sdk", "both"] as const);
	// Raw clients do not count the time: what they send again later would be new.
	const windowMs = clients === "sdk" ? pick(random, [300_000, 6_000]) : 300_000;
	return {
		seed,
		clients,
		nodes: between(random, 1, 3),
		publishers,
		subscribers: between(random, 1, 3),
		channels,
		historyMessages: pick(random, [ENOUGH_HISTORY, ENOUGH_HISTORY, ENOUGH_HISTORY, 5]),
		maxLogBytes: pick(random, [1_048_576, 300, 2_000]),
		windowMs,
		latencyMs: pick(random, [1, 5, 30]),
		windowBytes: pick(random, [300, 1_500, 65_536]),
		splits: pick(random, [0, 0.1, 0.5]),
		brokerLatencyMs: pick(random, [0.1, 3, 25]),
		bursts: Array.from({ length: between(random, 4, 16) }, () => ({
			atMs: random() * loadMs,
			publisher: between(random, 0, publishers - 1),
			channel: between(random, 0, channels.length - 1),
			messages: pick(random, [1, 1, 2, 3, 8]),
		})),
		faults: Array.from({ length: between(random, 1, 4) }, () => ({
			kind: pick(random, KINDS),
			atMs: random() * loadMs,
			forMs: pick(random, [5, 50, 500, 4_000]) * (0.5 + random()),
			whom: random(),
		})),
		healMs: loadMs + pick(random, [0, 100, 1_000]),
		attendees: windowMs < 300_000 ? 0 : pick(random, [0, 0, 2, 3]),
		reloads: random() < 0.4 ? Array.from({ length: between(random, 0, 3) }, () => random() * loadMs) : undefined,
	};
}
