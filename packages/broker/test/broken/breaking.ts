/** How a broker is broken for the compliance suite's own test: in one way, as seen from outside. */
import type { Broker, BrokerListener } from "../../src/broker.ts";
import type { FakeClock } from "../fake-clock.ts";

/** What a node does differently. Called once for each node. */
export type Breaking = (broker: Broker, clock: FakeClock) => Partial<Broker>;

/** Bugs by name. */
export type BugTable = Readonly<Record<string, Breaking>>;

export function listenThrough(
	broker: Broker,
	change: (listener: BrokerListener) => Partial<BrokerListener>,
): Partial<Broker> {
	return {
		listen: (listener) =>
			broker.listen({
				entries: (...args) => listener.entries(...args),
				reset: (...args) => listener.reset(...args),
				...change(listener),
			}),
	};
}
