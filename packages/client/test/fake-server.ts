/** A small server of the wire protocol for the fake world: sessions, logs that can be trimmed or begun anew, actions. */
import type { FakeSocket, FakeWorld, Sent } from "./fake-world.ts";

interface Log {
	epoch: string;
	head: number;
	readonly entries: { readonly offset: number; readonly data: unknown }[];
}

export class FakeServer {
	readonly #world: FakeWorld;
	readonly #logs = new Map<string, Log>();
	readonly #subscribed = new Map<FakeSocket, Set<string>>();
	/** Resume token → session. */
	readonly sessions = new Map<string, string>();
	/** Session and id → what was answered: performed once. */
	readonly #performed = new Map<string, Record<string, unknown>>();
	/** Every publish and call that was carried out. */
	readonly carriedOut: Sent[] = [];
	heartbeat = 30;
	/** Whether it answers at all. */
	mute = false;
	/** Actions that it does not answer. */
	readonly deaf = new Set<string>();
	#tokens = 0;

	constructor(world: FakeWorld) {
		this.#world = world;
		world.onSocket = (socket) => this.#connected(socket);
	}

	log(channel: string): Log {
		const log = this.#logs.get(channel) ?? { epoch: "e1", head: 0, entries: [] };
		this.#logs.set(channel, log);
		return log;
	}

	publish(channel: string, data: unknown): number {
		const log = this.log(channel);
		log.head += 1;
		log.entries.push({ offset: log.head, data });
		for (const [socket, channels] of this.#subscribed) {
			if (channels.has(channel) && socket.readyState === 1) {
				socket.say({ channel, offset: log.head, data });
			}
		}
		return log.head;
	}

	/** Everything that was kept is gone, and the epoch with it. */
	forgetLog(channel: string): void {
		const log = this.log(channel);
		log.epoch = `${log.epoch}x`;
		log.head = 0;
		log.entries.length = 0;
	}

	isSubscribed(channel: string): boolean {
		return this.#subscribed.get(this.#world.socket)?.has(channel) ?? false;
	}

	#connected(socket: FakeSocket): void {
		if (socket.readyState !== 0) {
			return;
		}
		this.#subscribed.set(socket, new Set());
		const state = { session: this.#newSession() };
		socket.onSent = (message) => this.#heard(socket, message, state);
		socket.accept();
		if (!this.mute) {
			const { session, resume } = state.session;
			const { heartbeat } = this;
			socket.say({
				hello: { version: 1, session, resume, heartbeat, window: 300, durability: "memory", node: "n1" },
			});
		}
	}

	#newSession(session = `s${this.#tokens + 1}`): { session: string; resume: string } {
		this.#tokens += 1;
		const resume = `r${this.#tokens}`;
		this.sessions.set(resume, session);
		return { session, resume };
	}

	#heard(socket: FakeSocket, message: Sent, state: { session: { session: string; resume: string } }): void {
		if (this.mute || this.deaf.has(message.action)) {
			return;
		}
		const { id: ack, action } = message;
		switch (action) {
			case "auth":
				socket.say({ ack, user: message.token });
				break;
			case "resume": {
				const session = this.sessions.get(String(message.token));
				if (session !== undefined) {
					state.session = this.#newSession(session);
				}
				socket.say({ ack, ...state.session, resumed: session !== undefined });
				break;
			}
			case "subscribe":
				this.#subscribe(socket, message);
				break;
			case "unsubscribe":
				this.#subscribed.get(socket)?.delete(String(message.channel));
				socket.say({ ack });
				break;
			case "ping":
				socket.say({ ack });
				break;
			case "history": {
				const { epoch, head, entries } = this.log(String(message.channel));
				socket.say({ ack, messages: entries, position: `${epoch}:${head}` });
				break;
			}
			case "cancel":
				socket.say({ ack });
				break;
			default: {
				const key = `${state.session.session} ${JSON.stringify(ack)}`;
				let reply = this.#performed.get(key);
				if (reply === undefined) {
					this.carriedOut.push(message);
					reply = { ack, data: message.input };
					if (action === "publish") {
						const channel = String(message.channel);
						const offset = this.publish(channel, message.data ?? null);
						reply = { ack, position: `${this.log(channel).epoch}:${offset}` };
					}
					this.#performed.set(key, reply);
				}
				socket.say(reply);
			}
		}
	}

	#subscribe(socket: FakeSocket, { id: ack, channel, since, channels }: Sent): void {
		const targets = Object.entries((channels ?? { [String(channel)]: since }) as Record<string, string | undefined>);
		const backlog: (() => void)[] = [];
		const rows = targets.map(([name, from]) => {
			const log = this.log(name);
			this.#subscribed.get(socket)?.add(name);
			const head = `${log.epoch}:${log.head}`;
			if (from == null) {
				return { channel: name, position: head };
			}
			const [epoch, offset] = from.split(":");
			const oldest = (log.entries[0]?.offset ?? log.head + 1) - 1;
			if (epoch !== log.epoch || Number(offset) < oldest || Number(offset) > log.head) {
				return { channel: name, position: head, recovered: false };
			}
			const missed = log.entries.filter((entry) => entry.offset > Number(offset));
			backlog.push(() => {
				for (const entry of missed) {
					socket.say({ channel: name, ...entry });
				}
			});
			return { channel: name, position: from, recovered: true };
		});
		socket.say(channels === undefined ? { ack, ...rows[0] } : { ack, channels: rows });
		for (const send of backlog) {
			send();
		}
	}
}
