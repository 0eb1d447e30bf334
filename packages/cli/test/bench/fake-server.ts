/**
 * The part of a Tidewire server that the bench speaks to, with one fault on purpose: so that the bench is seen to notice
 * each, and what it says of a sound server does not hang on the real one.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

export type Fault =
	| "none"
	/** Every tenth message goes to nobody, or twice, or behind the next one. */
	| "loses"
	| "repeats"
	| "reorders"
	/** As `loses`, but says so. */
	| "announces"
	| "forbids-subscribe"
	| "forbids-publish"
	| "limits-rate"
	/** Hangs up on each subscriber after ten messages. */
	| "hangs-up"
	| "closes-at-once"
	/** Delivers nothing at all after ten messages. */
	| "stalls"
	/** Writes its messages with members in another order and with white space. */
	| "writes-otherwise";

interface Command {
	readonly id?: number;
	readonly action: string;
	readonly channel: string;
	readonly name: string;
	readonly data: unknown;
}

/** Listens on a free port until the test is over. */
export async function fakeServer(fault: Fault): Promise<string> {
	const channels = new Map<string, { head: number; readonly subscribers: Set<WebSocket>; held: string | undefined }>();
	const channelOf = (name: string) => {
		const channel = channels.get(name) ?? { head: 0, subscribers: new Set<WebSocket>(), held: undefined };
		channels.set(name, channel);
		return channel;
	};
	const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
	onTestFinished(() => {
		for (const client of server.clients) {
			client.terminate();
		}
		server.close();
	});

	const refusal = (code: string, retryable = false) => ({ error: { code, message: "not here", retryable } });

	const perform = (client: WebSocket, { id, action, channel: name, name: due, data }: Command): object => {
		const channel = channelOf(name);
		if (action === "subscribe") {
			if (fault === "forbids-subscribe") {
				return { ack: id, ...refusal("forbidden") };
			}
			channel.subscribers.add(client);
			return { ack: id, channel: name, position: `e:${channel.head}` };
		}
		if (fault === "forbids-publish") {
			return { ack: id, ...refusal("forbidden") };
		}
		if (fault === "limits-rate" && Math.random() < 0.5) {
			return { ack: id, ...refusal("rate_limited", true) };
		}
		const offset = ++channel.head;
		const send = (text: string): void => {
			for (const subscriber of channel.subscribers) {
				subscriber.send(text);
			}
		};
		const text = JSON.stringify(
			fault === "writes-otherwise"
				? { offset, name: due, data, channel: name }
				: { channel: name, offset, name: due, data },
			null,
			fault === "writes-otherwise" ? 2 : 0,
		);
		const tenth = offset % 10 === 0;
		if (tenth && fault === "announces") {
			send(JSON.stringify({ channel: name, event: "gap", from: offset, to: offset, reason: "slow" }));
		} else if (tenth && fault === "repeats") {
			send(text);
			send(text);
		} else if (tenth && fault === "reorders") {
			channel.held = text;
		} else if (!(tenth && fault === "loses") && !(offset > 10 && fault === "stalls")) {
			send(text);
			if (channel.held !== undefined) {
				send(channel.held);
				channel.held = undefined;
			}
		}
		if (tenth && fault === "hangs-up") {
			for (const subscriber of channel.subscribers) {
				subscriber.close(4008, "slow consumer");
			}
		}
		return { ack: id, position: `e:${offset}` };
	};

	server.on("connection", (client) => {
		if (fault === "closes-at-once") {
			client.close(4001, "no such token");
			return;
		}
		client.send(JSON.stringify({ hello: { version: 1, session: "s", heartbeat: 30 } }));
		client.on("message", (bytes) => {
			const command = JSON.parse(String(bytes)) as Command;
			const reply = perform(client, command);
			if (command.id !== undefined) {
				client.send(JSON.stringify(reply));
			}
		});
		client.on("close", () => {
			for (const { subscribers } of channels.values()) {
				subscribers.delete(client);
			}
		});
	});
	await once(server, "listening");
	return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/connect?token=secret`;
}
