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
			// Node has no addEventListener of its own, React Native no document.
			const scope: Partial<EventTarget> = globalThis;
			const page = typeof document === "undefined" ? undefined : document;
			const heard = ({ type }: Event): void => {
				if (type === "online" || type === "offline") {
					listener(type);
				} else if (page?.visibilityState === "visible") {
					listener("wake");
				}
			};
			const each = (verb: "addEventListener" | "removeEventListener"): void => {
				for (const type of ["online", "offline", "pageshow"]) {
					scope[verb]?.(type, heard);
				}
				page?.[verb]("visibilitychange", heard);
			};
			each("addEventListener");
			return () => each("removeEventListener");
		},
	};
}
