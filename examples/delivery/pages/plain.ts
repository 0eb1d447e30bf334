/**
 * The customer's page on a bare WebSocket, with no SDK. The address says what is wanted, each message is a position,
 * and what is sent is answered by its id. Against `sdk.ts` it lacks: positions missed while away, being told that
 * history began anew, a message sent twice counting once.
 */
import type { Position } from "../contract.ts";
import { openView } from "./view.ts";

const view = await openView();
const waiting = new Map<string, { resolve(): void; reject(error: Error): void }>();
const LONGEST_WAIT_MS = 10_000;
let attempts = 0;
let wasLive = false;
let socket = open();

function open(): WebSocket {
	// The cookie that the tracking link set goes along, because the gateway allows this page's origin.
	const opened = new WebSocket(`${view.gateway}/track?orderId=${view.orderId}`);
	opened.addEventListener("open", () => {
		attempts = 0;
		view.connection("live", "Live");
		view.notice(wasLive ? "The connection was lost for a moment and is back." : "");
		wasLive = true;
	});
	opened.addEventListener("message", ({ data }) => {
		const message = JSON.parse(String(data)) as Position | { ack?: string; error?: { message: string } };
		if ("lat" in message) {
			view.position(message);
		} else if (message.ack !== undefined) {
			const { ack, error } = message;
			if (error === undefined) {
				waiting.get(ack)?.resolve();
			} else {
				waiting.get(ack)?.reject(new Error(error.message));
			}
			waiting.delete(ack);
		}
	});
	opened.addEventListener("close", () => {
		for (const { reject } of waiting.values()) {
			reject(new Error("the connection was lost before an answer came"));
		}
		waiting.clear();
		view.connection("waiting", "Reconnecting");
		// Full jitter: a thousand pages must not come back to a restarted gateway in the same moment.
		setTimeout(() => (socket = open()), Math.random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** attempts++));
	});
	return opened;
}

view.onContact(
	(message) =>
		new Promise<void>((resolve, reject) => {
			if (socket.readyState !== WebSocket.OPEN) {
				reject(new Error("there is no connection at the moment"));
				return;
			}
			// Not guessable: positions travel bare, so that a publisher could otherwise imitate the answer.
			const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("");
			waiting.set(id, { resolve, reject });
			socket.send(JSON.stringify({ id, action: "contact_driver", message }));
		}),
);
