/** A client that speaks the protocol by hand: it follows one channel, and comes back with what it holds. */
import { Client, JSON_PROTOCOL, type Message, type Running } from "../../packages/server/test/client.ts";

type Node = Pick<Running, "url" | "server">;

export class Follower {
	readonly #channel: string;
	#client: Client | undefined;
	#token: string | undefined;
	#position: string | undefined;
	session = "";
	/** The offsets of what it got, in the order in which it got them. */
	readonly offsets: number[] = [];
	/** What the server said of each return. */
	readonly returns: { readonly resumed: unknown; readonly recovered: unknown }[] = [];

	constructor(channel: string) {
		this.#channel = channel;
	}

	/** Connects; not for the first time, with its token and its position. */
	async connect({ url }: Node): Promise<void> {
		const headers = { authorization: "Bearer ann" };
		const client = await new Client(`${url}/connect`, JSON_PROTOCOL, { headers }).opened();
		this.#client = client;
		const { hello } = (await client.next()) as { hello: { session: string; resume: string } };
		let [session, token, resumed]: [string, string, unknown] = [hello.session, hello.resume, undefined];
		if (this.#token !== undefined) {
			const reply = await client.ask({ action: "resume", token: this.#token });
			resumed = reply.resumed;
			session = String(reply.session);
			token = String(reply.resume);
		}
		const since = this.#position === undefined ? {} : { since: this.#position };
		const { position, recovered } = await client.ask({ action: "subscribe", channel: this.#channel, ...since });
		if (this.#token !== undefined) {
			this.returns.push({ resumed, recovered });
		}
		this.session = session;
		this.#token = token;
		this.#position = String(position);
	}

	/** Publishes under an id, and waits for the position; what comes before it is taken. */
	async publish(id: number, channel: string, data: unknown): Promise<unknown> {
		this.send(id, channel, data);
		for (;;) {
			const message = await this.#next();
			if (message.ack === id) {
				return message.position ?? message.error;
			}
		}
	}

	/** Publishes, and does not wait. */
	send(id: number, channel: string, data: unknown): void {
		this.#client?.send({ id, action: "publish", channel, data });
	}

	/** Takes messages until it has so many. */
	async until(count: number): Promise<void> {
		while (this.offsets.length < count) {
			await this.#next();
		}
	}

	/** The network is gone: no goodbye, and what was not taken is lost with it. */
	cut(): void {
		this.#client?.socket.terminate();
	}

	async #next(): Promise<Message> {
		const message = await this.#client!.next();
		if (message.channel === this.#channel && typeof message.offset === "number") {
			this.offsets.push(message.offset);
			this.#position = `${this.#position?.split(":")[0]}:${message.offset}`;
		} else if (message.event !== undefined) {
			throw new Error(`not a message: ${JSON.stringify(message)}`);
		}
		return message;
	}
}

/** Publishes to a channel, turn for turn, until it is stopped; then says how many it were. */
export function publishing({ server }: Node, channel: string): { stop(): Promise<number> } {
	let stopped = false;
	const done = (async () => {
		let count = 0;
		while (!stopped) {
			await server.channel(channel).publish(++count);
			await new Promise((resolve) => setImmediate(resolve));
		}
		return count;
	})();
	return {
		stop: () => {
			stopped = true;
			return done;
		},
	};
}
