/**
 * The publishing side, in the bench's own process: a few connections over which channels are shared out, so that each
 * channel's messages keep their order. It knows how late each publish was against its due time, what the server
 * answered, and by that each channel's newest offset.
 */
import { CliError } from "../error.ts";
import { type ChannelNames, channelName, nowMicros } from "./delivery.ts";
import { Histogram } from "./histogram.ts";
import { LoadClient, type LoadListener, offsetOf, type Reply, type Target, type WireError } from "./load-client.ts";

const MOST_CONNECTIONS = 16;
/** More than this waits only where the server takes publishes more slowly than they are offered. */
const MOST_UNSENT_BYTES = 64 * 2 ** 20;

export class Publisher {
	readonly #clients: LoadClient[] = [];
	readonly #names: ChannelNames;
	readonly #insists: boolean;
	readonly #heads: number[];
	#outstanding = 0;
	readonly #broken = new AbortController();
	#onAnswer: () => void = () => {};
	/** From when a publish was due until the server's answer. */
	readonly answered = new Histogram();
	/** How much later than due a publish was sent: what cannot be blamed on the server. */
	readonly late = new Histogram();
	/** Refusals that may succeed when tried again, by code. */
	readonly refused = new Map<string, number>();
	published = 0;

	private constructor(names: ChannelNames, channels: number, insists: boolean) {
		this.#names = names;
		this.#insists = insists;
		this.#heads = Array.from({ length: channels }, () => 0);
	}

	/** `insists`: no publish may be refused, not even for now. */
	static async open(target: Target, names: ChannelNames, channels: number, insists: boolean): Promise<Publisher> {
		const publisher = new Publisher(names, channels, insists);
		const listener: LoadListener = {
			message: () => {},
			event: () => {},
			error: (_client, error) => publisher.#refuse(error),
			closed: (_client, why) => publisher.#fail(`the server closed a publisher's connection: ${why}`),
		};
		try {
			for (let index = 0; index < Math.min(channels, MOST_CONNECTIONS); index++) {
				publisher.#clients.push(await LoadClient.open(target, names, listener));
			}
		} catch (error) {
			publisher.close();
			throw error;
		}
		return publisher;
	}

	/** Each channel's newest offset, as far as the server has answered. */
	get heads(): readonly number[] {
		return this.#heads;
	}

	/** Publishes that were to be answered and are not yet. */
	get unanswered(): number {
		return this.#outstanding;
	}

	/** Aborted where going on makes no sense: the server refuses for good, or has hung up. The reason is a `CliError`. */
	get broken(): AbortSignal {
		return this.#broken.signal;
	}

	/** What `publish` is called for from within becomes one write per connection. */
	together(publish: () => void): void {
		const wrap = (index: number): void => {
			const client = this.#clients[index];
			if (client === undefined) {
				publish();
			} else {
				client.together(() => wrap(index + 1));
			}
		};
		wrap(0);
	}

	/** `text` is JSON. Without an answer asked for, only a refusal is heard of. */
	publish(channel: number, text: string, dueMicros: number, answer: boolean): void {
		const client = this.#clients[channel % this.#clients.length]!;
		if (client.unsentBytes > MOST_UNSENT_BYTES) {
			this.#fail("the server takes the publishes more slowly than they are offered: try a lower --rate");
			return;
		}
		const name = JSON.stringify(channelName(this.#names, channel));
		const due = Math.round(dueMicros);
		const fields = `"action":"publish","channel":${name},"name":"${due}","data":${text}`;
		this.published++;
		this.late.record(nowMicros() - dueMicros);
		if (!answer) {
			client.send(fields);
			return;
		}
		this.#outstanding++;
		client.request(fields, (reply) => this.#take(channel, dueMicros, reply));
	}

	/** Resolves with true when everything has been answered, with false when it has not within that time. */
	allAnswered(patienceMs: number): Promise<boolean> {
		if (this.#outstanding === 0) {
			return Promise.resolve(true);
		}
		return new Promise((resolve) => {
			const end = (): void => {
				clearTimeout(timer);
				this.#onAnswer = () => {};
				resolve(this.#outstanding === 0);
			};
			const timer = setTimeout(end, patienceMs);
			this.#onAnswer = () => {
				if (this.#outstanding === 0 || this.broken.aborted) {
					end();
				}
			};
		});
	}

	close(): void {
		for (const client of this.#clients) {
			client.close();
		}
	}

	#take(channel: number, dueMicros: number, { error, position }: Reply): void {
		this.#outstanding--;
		if (error === undefined) {
			this.answered.record(nowMicros() - dueMicros);
			this.#heads[channel] = Math.max(this.#heads[channel]!, offsetOf(position));
		} else {
			this.#refuse(error);
		}
		this.#onAnswer();
	}

	#refuse({ code, message, retryable }: WireError): void {
		if (code === "closed") {
			// No refusal of the server's; `closed` above says why.
			return;
		}
		if (retryable === true && !this.#insists) {
			this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
		} else {
			this.#fail(`the server refuses a publish: ${message} (${code})`);
		}
	}

	#fail(message: string): void {
		this.#broken.abort(new CliError("failure", message));
		this.#onAnswer();
	}
}
