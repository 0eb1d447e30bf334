/** What the browser test's page runs: a chat that publishes to the channel `chat`, with an outbox. Bundled by the test. */
import { connect } from "@tidewire/client";
import { indexedDbOutbox } from "@tidewire/client/outbox";

const url = new URLSearchParams(location.search).get("server") ?? "";
const add = (list: string, text: string): void => {
	const item = document.createElement("li");
	item.textContent = text;
	document.querySelector(list)?.append(item);
};

const outbox = indexedDbOutbox("chat", {
	onOutcome: ({ data }, outcome) => add("#outcomes", `${data} ${"code" in outcome ? outcome.code : "done"}`),
});
const tw = connect(url, {
	outbox,
	positions: outbox.positions,
	maxBackoffMs: 100,
	onError: ({ code }) => add("#errors", code),
});
tw.on("state", (state) => {
	document.body.dataset.state = state;
	document.body.dataset.session = tw.session ?? "";
});
tw.channel("chat").subscribe((data) => add("#messages", String(data)), {
	onReset: () => add("#messages", "reset"),
	onState: (state) => {
		document.body.dataset.channel = state;
	},
});
document.querySelector("form")?.addEventListener("submit", (event) => {
	event.preventDefault();
	const input = document.querySelector("input");
	const text = input?.value ?? "";
	tw.channel("chat")
		.publish(text)
		.then(
			() => add("#outcomes", `${text} done`),
			({ code }) => add("#outcomes", `${text} ${code}`),
		);
	document.body.dataset.waiting = String(outbox.waiting().length);
	if (input) {
		input.value = "";
	}
});
void outbox.session().then(() => {
	document.body.dataset.waiting = String(outbox.waiting().length);
	document.body.dataset.loaded = "true";
});
