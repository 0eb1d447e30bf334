/** Clients that know what they were greeted with, and come back with it. */
import type { Running } from "../client.ts";
import { Client, JSON_PROTOCOL, type Message } from "../client.ts";

export interface Greeted {
	readonly client: Client;
	readonly session: string;
	readonly token: string;
}

/** A client of this user, greeted. */
export async function greeted(node: Pick<Running, "url">, user = "ann"): Promise<Greeted> {
	const headers = { authorization: `Bearer ${user}` };
	const client = await new Client(`${node.url}/connect`, JSON_PROTOCOL, { headers }).opened();
	const { hello } = (await client.next()) as { hello: { session: string; resume: string } };
	return { client, session: hello.session, token: hello.resume };
}

export interface Returned extends Greeted {
	readonly reply: Message;
}

/** Another connection, that shows a token first. */
export async function comesBack(node: Pick<Running, "url">, token: string, user = "ann"): Promise<Returned> {
	const { client, session } = await greeted(node, user);
	const reply = await client.ask({ action: "resume", token });
	const { resume = "" } = reply as { resume?: string };
	return { client, session: typeof reply.session === "string" ? reply.session : session, token: resume, reply };
}

/** The network is gone: no goodbye. */
export async function cut({ client }: Greeted, { server }: Pick<Running, "server">, left = 0): Promise<void> {
	client.socket.terminate();
	await client.closed;
	while (server.connections > left) {
		await new Promise((resolve) => setImmediate(resolve));
	}
}
