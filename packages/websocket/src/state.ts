/**
 * The life of a connection as one table (RFC 6455 §7.1). It holds no connection and does nothing: `sender.ts` acts on
 * what it says, for both halves.
 */

/** What the owner sees. */
export type State = "open" | "closing" | "closed";

/**
 * - `open`: no close frame in either direction.
 * - `closing`: our close frame is out, the peer's is not in.
 * - `waiting`: it is settled how the connection ended; the peer is to close TCP first (RFC 6455 §7.1.1: the server does).
 * - `ended`: settled, and our half of TCP is closed; what still arrives is discarded until the peer's half is closed.
 * - `gone`: nothing is left to wait for.
 */
export type Phase = "open" | "closing" | "waiting" | "ended" | "gone";

export type Transition =
	/** We began the closing handshake. */
	| "close-sent"
	/** Close frames went both ways, and we are the server: TCP is ours to close. */
	| "handshake-done-as-server"
	/** Close frames went both ways, and we are the client: TCP is the server's to close. */
	| "handshake-done-as-client"
	/** We give the connection up: the peer broke a rule, or the owner's policy did it (RFC 6455 §7.1.7). */
	| "failed"
	/** The peer closed its half of TCP, or the transport is gone, or the peer's time is up. */
	| "transport-ended";

const TABLE: Readonly<Record<Phase, Readonly<Partial<Record<Transition, Phase>>>>> = {
	open: {
		"close-sent": "closing",
		"handshake-done-as-server": "ended",
		"handshake-done-as-client": "waiting",
		failed: "ended",
		"transport-ended": "gone",
	},
	closing: {
		"handshake-done-as-server": "ended",
		"handshake-done-as-client": "waiting",
		failed: "ended",
		"transport-ended": "gone",
	},
	waiting: { failed: "ended", "transport-ended": "gone" },
	ended: { "transport-ended": "gone" },
	gone: {},
};

const STATES: Readonly<Record<Phase, State>> = {
	open: "open",
	closing: "closing",
	waiting: "closed",
	ended: "closed",
	gone: "closed",
};

/** The phase after a transition, or undefined where it changes nothing. */
export function after(phase: Phase, transition: Transition): Phase | undefined {
	return TABLE[phase][transition];
}

export function stateOf(phase: Phase): State {
	return STATES[phase];
}
