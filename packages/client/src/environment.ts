/**
 * What the client needs of the world besides a WebSocket: a clock, timers, randomness and news of the network. One
 * implementation serves browsers and Node alike, by asking what is there.
 */

/** `wake`: the page is shown again, or the machine was asleep; the connection may be dead without knowing. */
export type NetworkEvent = "online" | "offline" | "wake";

/** Functions that need no `this`. */
export interface Environment {
	/** Milliseconds on a clock that never goes back. */
	readonly now: () => number;
	/** Calls back once after so many milliseconds; returns how to prevent that. */
	readonly setTimer: (callback: () => void, delayMs: number) => () => void;
	/** At least 0, below 1. */
	readonly random: () => number;
	/** Tells of network events; returns how to stop. */
	readonly watchNetwork: (listener: (event: NetworkEvent) => void) => () => void;
}

/** The global things, as far as this runtime has them. */
export function systemEnvironment(): Environment {
	return {
		now: () => performance.now(),
		setTimer(callback, delayMs) {
			const timer = setTimeout(callback, delayMs);
			return () => clearTimeout(timer);
		},
		random: Math.random,
		watchNetwork(listener) {
			const stopped = new AbortController();
			for (const type of ["online", "offline", "visibilitychange"]) {
				// A change of visibility bubbles to the window. Node has no addEventListener, and no such events.
				globalThis.addEventListener?.(
					type,
					() => {
						if (type === "online" || type === "offline") {
							listener(type);
						} else if (document.visibilityState === "visible") {
							listener("wake");
						}
					},
					stopped,
				);
			}
			return () => stopped.abort();
		},
	};
}
