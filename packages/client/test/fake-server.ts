/** A small server of the wire protocol for the fake world: sessions, logs that can be trimmed or begun anew, actions. */
import type { FakeSocket, FakeWorld, Sent } from "./fake-world.ts";

interface Log {
	epoch: string;
	head: number;
	readonly entries: { readonly offset: number; readonly data: unknown }[];
}

const WINDOW_MS = 300_000;

export class FakeServer {
	readonly #world: FakeWorld;
	readonly #logs = new Map<string, Log>();
	readonly #subscribed = new Map<FakeSocket, Set<string>>();
	/** Resume token → session. */
	readonly sessions = new Map<string, string>();
	/** Session, action, channel and id → what was answered, and when: performed once. */
	readonly #performed = new Map<string, { readonly reply: Record<string, unknown>; readonly at: number }>();
	/** When a session was last heard of. */
	readonly #seen = new Map<string, number>();
	/** Every publish and call that was carried out. */
	readonly carriedOut: Sent[] = [];
	heartbeat = 30;
	/** Whether it answers at all. */
	mute = false;
	/** Actions that it does not answer. */
	readonly deaf = new Set<string>();
	/** It does what it is asked, and its answers are lost. */
	losesReplies = false;
	/** So many publishes to come are refused for the moment. */
	refusing = 0;
	/** For how long, it says. */
	retryAfter = 2;
	#tokens = 0;

	constructor(world: FakeWorld) {
		this.#world = world;
		world.onSocket = (socket) => this.accept(socket);
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

	/** A client has connected. */
	accept(socket: FakeSocket): void {
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
		this.#seen.set(state.session.session, this.#world.time);
		switch (action) {
			case "auth":
				socket.say({ ack, user: message.token });
				break;
			case "resume": {
				const named = this.sessions.get(String(message.token));
				const isThere = named !== undefined && this.#world.time - (this.#seen.get(named) ?? 0) < WINDOW_MS;
				const session = isThere ? named : undefined;
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
				const { channel, after } = message;
				const key = (id: unknown): string => JSON.stringify([state.session.session, action, channel, id]);
				const known = this.#performed.get(key(ack));
				let reply = known && this.#world.time - known.at < WINDOW_MS ? known.reply : undefined;
				if (reply === undefined && action === "publish" && this.refusing > 0) {
					this.refusing -= 1;
					socket.say({
						ack,
						error: { code: "rate_limited", message: "slowly", retryable: true, retryAfter: this.retryAfter },
					});
					return;
				}
				if (reply === undefined && after !== undefined && !this.#performed.has(key(after))) {
					socket.say({ ack, error: { code: "conflict", message: "not after that", retryable: true } });
					return;
				}
				if (reply === undefined) {
					this.carriedOut.push(message);
					reply = { ack, data: message.input };
					if (action === "publish") {
						const offset = this.publish(String(channel), message.data ?? null);
						reply = { ack, position: `${this.log(String(channel)).epoch}:${offset}` };
					}
					this.#performed.set(key(ack), { reply, at: this.#world.time });
				}
				if (this.losesReplies) {
					return;
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
