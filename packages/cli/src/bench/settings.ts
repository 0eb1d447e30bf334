/** What one run of `tidewire bench` is to do: its arguments, read and complete but for what differs by subject. */
import type { ChannelNames } from "./delivery.ts";
import type { Target } from "./load-client.ts";
import type { Payload } from "./payload.ts";
import type { ServerProcess } from "./server-process.ts";

export const SUBJECTS = ["latency", "fanout", "recorded", "connections"] as const;
export type Subject = (typeof SUBJECTS)[number];

/** A stranger may want another number; what is absent has each subject's own default. */
export interface Amounts {
	readonly clients?: number | undefined;
	readonly channels?: number | undefined;
	/** Messages a second in each channel. */
	readonly rate?: number | undefined;
	/** Messages that are published in one write. */
	readonly burst?: number | undefined;
	/** Of a recording: times its own pace. */
	readonly speed?: number | undefined;
}

export interface Settings extends Amounts {
	readonly target: Target;
	readonly seconds: number;
	readonly warmUp: number;
	/** Of the clients; they stop reading, and are judged by what becomes of the others. */
	readonly stalled: number;
	readonly payloads: readonly Payload[];
	/** What the payloads are, for the reader. */
	readonly payloadName: string;
	/** After so long without one, a delivery or an answer that is still missing is lost. */
	readonly patienceMs: number;
	/** Load processes. */
	readonly workers: number;
	/** Connections that are opened at a time, over all processes. */
	readonly atOnce: number;
	/** The server's, where it runs on this machine. */
	readonly process: ServerProcess | undefined;
	/** Names for a measurement's channels, never the same twice. */
	readonly newNames: () => ChannelNames;
	readonly stopped: AbortSignal;
	/** News for the person: replaces what it said before. */
	readonly progress: (text: string) => void;
}
