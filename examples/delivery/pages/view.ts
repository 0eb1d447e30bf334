/**
 * The customer's page without its connection: what is shown of a position, of the connection's state and of a message
 * to the driver. `sdk.ts` and `plain.ts` feed it; both pages are this one.
 */
import type { Position } from "../contract.ts";
import { type DeliveryMap, drawMap, type MapInput } from "./map.ts";

/** `waiting`: lost, and coming back by itself. `refused`: it will not come back. */
export type ConnectionState = "connecting" | "live" | "waiting" | "refused";

export interface View {
	readonly orderId: string;
	readonly gateway: string;
	/** Shows where the car is. */
	position(position: Position): void;
	connection(state: ConnectionState, words: string): void;
	/** Something that the customer should know about what is shown. */
	notice(words: string): void;
	/** Calls `send` with each message that the customer writes; it resolves when the gateway has acknowledged it. */
	onContact(send: (message: string) => Promise<void>): void;
}

/** The latency shown is the median of this many live positions. */
const LATENCY_WINDOW = 20;
/** A live connection without a position for this long is worth a word. */
const QUIET_MS = 10_000;
/** How long a notice stays. */
const NOTICE_MS = 60_000;

export async function openView(): Promise<View> {
	const orderId = document.body.dataset.order ?? "";
	// The key has done its work: the cookie is set. It need not stand in the address bar, nor in screenshots.
	history.replaceState(null, "", location.pathname);
	const answer = await fetch(`/orders/${orderId}/route.json`);
	const map = drawMap(
		document.querySelector<SVGSVGElement>("#map") as SVGSVGElement,
		(await answer.json()) as MapInput,
	);
	const contact = contactForm();
	const show = positions(map);
	let quiet: ReturnType<typeof setTimeout> | undefined;
	let noticed: ReturnType<typeof setTimeout> | undefined;

	return {
		orderId,
		gateway: `${location.protocol === "https:" ? "wss" : "ws"}://${location.hostname}:${document.body.dataset.gatewayPort}`,
		position(position) {
			show.position(position);
			contact.heard(position.heard);
			clearTimeout(quiet);
			quiet = setTimeout(() => text("#arrival-details", "Waiting for the driver's next position"), QUIET_MS);
		},
		connection(state, words) {
			const shown = byId("connection");
			shown.dataset.state = state;
			shown.textContent = words;
			show.live(state === "live");
		},
		notice(words) {
			text("#notice", words);
			clearTimeout(noticed);
			noticed = setTimeout(() => text("#notice", ""), NOTICE_MS);
		},
		onContact: contact.onContact,
	};
}

function positions(map: DeliveryMap): { position(position: Position): void; live(live: boolean): void } {
	let last: Position | undefined;
	let received = 0;
	let liveSince = Number.POSITIVE_INFINITY;
	const latencies: number[] = [];
	return {
		live(live) {
			liveSince = live ? Date.now() : Number.POSITIVE_INFINITY;
		},
		position(position) {
			const jump = last === undefined || last.trip !== position.trip || position.travelled < last.travelled - 50;
			map.move(position, jump);
			if (last?.eta !== position.eta) {
				text("#eta", position.eta === "arrived" ? "Arrived" : position.eta);
				text("#arrival-label", position.eta === "arrived" ? "Your order has" : "Arriving in");
			}
			byId("eta").dataset.seconds = String(position.etaSeconds);
			text("#arrival-details", details(position));
			text("#speed", position.speed < 0.5 ? "standing" : `${Math.round(position.speed * 3.6)} km/h`);
			progress((100 * position.travelled) / (position.travelled + position.remaining));
			received++;
			text("#received", received.toLocaleString("en"));
			// What was sent before the connection stood comes from history: its age is no latency.
			if (position.sentAt >= liveSince) {
				latencies.push(Math.max(0, Date.now() - position.sentAt));
				latencies.splice(0, latencies.length - LATENCY_WINDOW);
				const median = [...latencies].sort((a, b) => a - b)[latencies.length >> 1] as number;
				text("#latency", median < 1 ? "under 1 ms" : `${median} ms`);
			}
			last = position;
		},
	};
}

function details(position: Position): string {
	if (position.eta === "arrived") {
		return "at your door";
	}
	const at = new Date(Date.now() + position.etaSeconds * 1000);
	const time = at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
	const way =
		position.remaining < 995
			? `${Math.round(position.remaining / 10) * 10} m`
			: `${(position.remaining / 1000).toFixed(1)} km`;
	return `at about ${time} · ${way} to go`;
}

function progress(percent: number): void {
	const bar = byId("progress");
	bar.setAttribute("aria-valuenow", percent.toFixed(0));
	(bar.firstElementChild as HTMLElement).style.transform = `scaleX(${(percent / 100).toFixed(4)})`;
}

/** The form: sent, then acknowledged by the gateway, then heard by the driver, whose positions say what was heard. */
function contactForm(): { onContact: View["onContact"]; heard(heard: Position["heard"]): void } {
	const form = byId("contact") as HTMLFormElement;
	const input = byId("message") as HTMLInputElement;
	const button = form.querySelector<HTMLButtonElement>(".send button") as HTMLButtonElement;
	let send: (message: string) => Promise<void> = () => Promise.reject(new Error("not connected yet"));
	/** What the gateway has acknowledged, and how many messages the driver had heard when it was written. */
	let acknowledged: { readonly message: string; readonly after: number } | undefined;
	let heardLast: Position["heard"];
	const say = (state: "sending" | "sent" | "received" | "failed", words: string): void => {
		const shown = byId("contact-state");
		shown.dataset.state = state;
		shown.textContent = words;
	};
	const tellIfHeard = (): void => {
		if (
			acknowledged?.message === heardLast?.message &&
			(heardLast?.count ?? 0) > (acknowledged?.after ?? Number.POSITIVE_INFINITY)
		) {
			say("received", `Driver received your message: “${heardLast?.message}”`);
			acknowledged = undefined;
		}
	};
	for (const suggestion of form.querySelectorAll<HTMLButtonElement>(".suggestions button")) {
		suggestion.addEventListener("click", () => {
			input.value = suggestion.textContent ?? "";
			form.requestSubmit();
		});
	}
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		const message = input.value.trim();
		if (message === "") {
			return;
		}
		const after = heardLast?.count ?? 0;
		button.disabled = true;
		say("sending", "Sending…");
		send(message)
			.then(() => {
				input.value = "";
				acknowledged = { message, after };
				say("sent", "Sent to the driver");
				tellIfHeard();
			})
			.catch((error: unknown) => {
				say("failed", `Not sent: ${error instanceof Error ? error.message : "unknown reason"}. Please try again.`);
			})
			.finally(() => {
				button.disabled = false;
			});
	});
	return {
		onContact(given) {
			send = given;
		},
		heard(heard) {
			heardLast = heard;
			tellIfHeard();
		},
	};
}

function text(selector: string, words: string): void {
	const shown = document.querySelector(selector);
	if (shown !== null && shown.textContent !== words) {
		shown.textContent = words;
	}
}

function byId(id: string): HTMLElement {
	return document.getElementById(id) as HTMLElement;
}
