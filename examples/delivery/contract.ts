/**
 * The contract of the delivery service, shared by the gateway, the driver's program and the customer's page: which
 * channels there are, what travels on them, and what may be asked of the gateway. No code of either side.
 */
import { action, channel, contract } from "tidewire/contract";
import { z } from "zod";

/** Where the car is, as its driver knows it. */
export const Position = z.object({
	lat: z.number().min(-90).max(90),
	lng: z.number().min(-180).max(180),
	/** The arrival in words: "3 minutes". */
	eta: z.string().max(40),
	etaSeconds: z.number().nonnegative(),
	/** Degrees clockwise from north. */
	heading: z.number().min(0).lt(360),
	/** Metres a second. */
	speed: z.number().nonnegative(),
	/** Metres since the start, and to the door. */
	travelled: z.number().nonnegative(),
	remaining: z.number().nonnegative(),
	/** Counts this order's drives: the show begins afresh when the car has arrived. */
	trip: z.int().positive(),
	/** The customer's last message that reached the driver, and how many did. */
	heard: z.object({ message: z.string().max(500), count: z.int().positive() }).optional(),
	/** When the driver's program sent this, milliseconds since 1970. */
	sentAt: z.number(),
});
export type Position = z.infer<typeof Position>;

/** What a customer says to the driver. */
const CustomerMessage = z.object({
	orderId: z.string(),
	message: z.string().min(1).max(500),
});

export const delivery = contract({
	channels: {
		// Where the car was matters less than where it is: a slow phone gets the newest position, not a queue.
		"order_{orderId}": channel({ data: Position, history: { messages: 500, age: "1h" }, slow: "conflate" }),
		// What customers say must all arrive, also after a tunnel: the driver's program resumes from here.
		"driver_{orderId}": channel({ data: CustomerMessage, history: { messages: 100, age: "1h" } }),
	},
	actions: {
		contact_driver: action({
			// A plain client's order stands in its address (/track?orderId=123); the SDK names it here.
			input: z.object({ message: z.string().min(1).max(500), orderId: z.string().optional() }),
		}),
	},
});
