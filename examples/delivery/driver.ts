/**
 * The drivers' program: one SDK connection that publishes where each car is, several times a second, and prints what
 * customers say. It plays the recorded drives; in a real car, `positionAt` would be the GPS receiver.
 */
import { parseArgs } from "node:util";
import { connect } from "tidewire/client";
import type { delivery as contract, Position } from "./contract.ts";
import { type Delivery, deliveries, positionAt } from "./deliveries.ts";

const { values: options } = parseArgs({
	options: {
		gateway: { type: "string", default: "ws://127.0.0.1:7400/connect" },
		/** 1 is the recorded pace. */
		speed: { type: "string", default: "1" },
		/** Seconds that a car stands at the door before the delivery begins afresh. */
		rest: { type: "string", default: "8" },
		/** Milliseconds between two positions. */
		interval: { type: "string", default: "250" },
	},
});
const pace = { speed: Number(options.speed), restMs: Number(options.rest) * 1000 };
const token = process.env.DELIVERY_DRIVER_TOKEN;
if (token === undefined || !(pace.speed > 0) || !(pace.restMs >= 0) || !(Number(options.interval) > 0)) {
	throw new RangeError(
		"usage: driver.ts [--gateway URL] [--speed N] [--rest SECONDS] [--interval MS], with DELIVERY_DRIVER_TOKEN set",
	);
}

const startedAt = performance.now();
const client = connect<typeof contract>(options.gateway, {
	token,
	maxBackoffMs: 2000,
	onError: (error) => console.error(`${error.code}: ${error.message}`),
});
let wasConnected = false;
client.on("state", (state, why) => {
	// The gateway may take longer to start than this program; that is no news.
	if (state === "connected") {
		console.log(wasConnected ? "connected again" : "connected");
		wasConnected = true;
	} else if (why !== undefined && (state === "closed" || (state === "waiting" && wasConnected))) {
		console.log(`${state}: ${why.message}`);
	}
});

for (const delivery of deliveries.values()) {
	drive(delivery);
}
await client.ready();
process.send?.("ready");

process.once("SIGTERM", stop);
process.once("SIGINT", stop);

/** Publishes one car's positions and listens to its customer. */
function drive(delivery: Delivery): void {
	const channel = client.channel(`order_${delivery.orderId}`);
	let heard: Position["heard"];
	let trip = 0;
	let underWay = false;
	client.channel(`driver_${delivery.orderId}`).subscribe(
		({ message }) => {
			console.log(`order ${delivery.orderId}, the customer says: ${JSON.stringify(message)}`);
			heard = { message, count: (heard?.count ?? 0) + 1 };
		},
		{
			onGap: ({ from, to }) => console.error(`order ${delivery.orderId}: messages ${from} to ${to} are lost`),
			onReset: () => console.error(`order ${delivery.orderId}: the gateway restarted, messages may be lost`),
		},
	);
	setInterval(async () => {
		// Positions do not queue: while one is on its way, or no connection stands, newer ones make it worthless.
		if (underWay || client.state !== "connected") {
			return;
		}
		underWay = true;
		const position = positionAt(delivery, performance.now() - startedAt, pace);
		if (position.trip !== trip) {
			trip = position.trip;
			console.log(`order ${delivery.orderId}: drive ${trip} begins, ${position.eta} to go`);
		}
		try {
			await channel.publish({ ...position, ...(heard && { heard }), sentAt: Date.now() }, { timeoutMs: 5000 });
		} catch (error) {
			console.error(`order ${delivery.orderId}: a position was not accepted: ${(error as Error).message}`);
		} finally {
			underWay = false;
		}
	}, Number(options.interval));
}

async function stop(): Promise<void> {
	await client.close();
	process.exit(0);
}
