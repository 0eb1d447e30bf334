/**
 * The customer's page on the SDK. It says what it wants once; coming back, resuming where it was, and sending a message
 * again without it counting twice are the SDK's work.
 */
import { connect } from "tidewire/client";
import type { delivery } from "../contract.ts";
import { type ConnectionState, openView } from "./view.ts";

const view = await openView();
const client = connect<typeof delivery>(`${view.gateway}/connect`, {
	token: document.body.dataset.token ?? "",
	// A customer watches this page: half a minute's silence would look broken.
	maxBackoffMs: 3000,
	onError: (error) => console.warn(error),
});

const WORDS: Readonly<Record<typeof client.state, readonly [ConnectionState, string]>> = {
	connecting: ["connecting", "Connecting"],
	connected: ["live", "Live"],
	waiting: ["waiting", "Reconnecting"],
	offline: ["waiting", "No network"],
	closed: ["refused", "Not available"],
};
const showState = (): void => view.connection(...WORDS[client.state]);
client.on("state", showState);
showState();

client.channel(`order_${view.orderId}`).subscribe((position) => view.position(position), {
	// The latest position at once; after that whatever was missed, from where this page was.
	rewind: 1,
	onGap: () => {}, // A gap in positions is harmless: the next one says all.
	onReset: ({ reason }) =>
		view.notice(
			reason === "epoch"
				? "The server restarted: position history begins anew."
				: "You were away for long: positions in between are no longer known.",
		),
	onError: (error) => view.notice(`This order cannot be followed: ${error.message}`),
});

view.onContact(async (message) => {
	await client.action("contact_driver", { message, orderId: view.orderId }, { timeoutMs: 15_000 });
});
