/**
 * The gateway's configuration: who is who, who may do what, and what becomes of a customer's message. The gateway itself
 * is `tidewire serve --config` with this file.
 */
import { ActionError, defineConfig } from "tidewire";
import { delivery } from "./contract.ts";
import { deliveries } from "./deliveries.ts";
import { cookieName, readToken, verify } from "./keys.ts";

const { DELIVERY_SECRET: secret, DELIVERY_ORIGINS = "" } = process.env;
if (secret === undefined) {
	throw new Error("DELIVERY_SECRET is not set: start.ts draws one, and gives it to the gateway and to the pages");
}

/** `orders`: those that a customer has a key for. A driver has all of today's. */
interface DeliveryUser {
	readonly id: string;
	readonly role: "customer" | "driver";
	readonly orders: readonly string[];
}

const today = [...deliveries.keys()];

export default defineConfig({
	contract: delivery,
	allowedOrigins: DELIVERY_ORIGINS.split(" ").filter((origin) => origin !== ""),

	/** The SDK shows a token. A plain WebSocket cannot; its page has a cookie, which the tracking link left there. */
	authenticate: ({ token, cookies }): DeliveryUser | null => {
		if (token !== undefined) {
			const known = readToken(secret, token);
			if (known === undefined) {
				return null;
			}
			const { role, subject } = known;
			return { id: `${role}:${subject}`, role, orders: role === "driver" ? today : [subject] };
		}
		const orders = today.filter((orderId) => verify(secret, "cookie", orderId, cookies[cookieName(orderId)] ?? ""));
		return orders.length === 0 ? null : { id: `customer:${orders.join("+")}`, role: "customer", orders };
	},

	may: {
		subscribe: {
			"order_{orderId}": ({ user, params }) => user?.orders.includes(params.orderId) ?? false,
			"driver_{orderId}": ({ user }) => user?.role === "driver",
		},
		publish: {
			"order_{orderId}": ({ user, params }) => user?.role === "driver" && user.orders.includes(params.orderId),
		},
		call: { contact_driver: ({ user }) => user?.role === "customer" },
	},

	/** For `new WebSocket("ws://…/track?orderId=123")`. */
	routes: { "/track?orderId={orderId}": { channels: ["order_{orderId}"] } },

	actions: {
		contact_driver: async ({ user, input, params, server }) => {
			const orderId = params.orderId ?? input.orderId;
			if (orderId === undefined || !user?.orders.includes(orderId)) {
				throw new ActionError("forbidden", "you have no key for this order");
			}
			await server.channel(`driver_${orderId}`).publish({ orderId, message: input.message });
		},
	},
});
