/**
 * The vocabulary of the compliance suite: small assertions that belong to no test framework, a listener that records
 * what it is told and can be waited for, and short forms of the calls.
 */
import {
	type Broker,
	BrokerError,
	type BrokerErrorCode,
	type Entry,
	type Page,
	type Position,
	type Publication,
	type PublishOptions,
	type ReadOptions,
	type Retention,
} from "../broker.ts";

export const KEEP: Retention = { messages: 1_000, bytes: 1024 * 1024, ageMs: 600_000 };

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Throws unless both are alike. Objects are compared by their JSON, which is enough for positions and lists of texts. */
export function same(actual: unknown, expected: unknown, what: string): void {
	const left = JSON.stringify(actual);
	const right = JSON.stringify(expected);
	if (left !== right) {
		throw new Error(`${what}: got ${left}, expected ${right}`);
	}
}

export function claim(holds: boolean, what: string): asserts holds {
	if (!holds) {
		throw new Error(what);
	}
}

/** Throws unless the call is refused with this code. */
export async function refused(code: BrokerErrorCode, call: () => Promise<unknown>): Promise<void> {
	let outcome: unknown;
	try {
		outcome = await call();
	} catch (error) {
		claim(error instanceof BrokerError, `rejected with ${String(error)}, expected a BrokerError`);
		same(error.code, code, "code of the refusal");
		return;
	}
	throw new Error(`resolved with ${JSON.stringify(outcome)}, expected the refusal ${code}`);
}

export function json(value: string): Publication {
	return { data: utf8.encode(value), encoding: "json" };
}

export function bytesOf(value: string): Uint8Array {
	return utf8.encode(value);
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
	return bytes === undefined ? undefined : text.decode(bytes);
}

/** The data of entries, as texts. */
export function texts(entries: readonly Entry[]): string[] {
	return entries.map((entry) => text.decode(entry.data));
}

/** Publishes a text that must be accepted as new, and gives its position. */
export async function publish(
	broker: Broker,
	channel: string,
	value: string,
	options: Partial<PublishOptions> = {},
): Promise<Position> {
	return publishAs(broker, channel, json(value), options);
}

/** The same with a whole publication. */
export async function publishAs(
	broker: Broker,
	channel: string,
	publication: Publication,
	options: Partial<PublishOptions> = {},
): Promise<Position> {
	const result = await broker.publish(channel, publication, { retention: KEEP, ...options });
	const what = `publish of ${textOf(publication.data)}`;
	claim(result.status === "accepted", `${what}: got ${result.status}, expected accepted`);
	claim(!result.duplicate, `${what} was taken for a repeat`);
	return result.position;
}

export async function read(broker: Broker, channel: string, options: Partial<ReadOptions> = {}): Promise<Page> {
	return broker.read(channel, { after: 0, limit: 10_000, ...options });
}

/** What a node was told of, in order. */
export interface Told {
	readonly channel: string;
	readonly epoch: string;
	readonly entry: Entry;
}

/** A node with a listener that records. */
export class Listening {
	readonly broker: Broker;
	readonly told: Told[] = [];
	readonly resets: { readonly channel: string; readonly position: Position }[] = [];
	#waiting: { readonly ready: () => boolean; readonly resolve: () => void }[] = [];

	constructor(broker: Broker) {
		this.broker = broker;
		broker.listen({
			entries: (channel, epoch, entries) => {
				for (const entry of entries) {
					this.told.push({ channel, epoch, entry });
				}
				this.#wake();
			},
			reset: (channel, position) => {
				this.resets.push({ channel, position });
				this.#wake();
			},
		});
	}

	/** What was told of one channel. */
	of(channel: string): Entry[] {
		return this.told.filter((told) => told.channel === channel).map((told) => told.entry);
	}

	/** Resolves when this many entries of the channel were told. The test framework's time limit is the deadline. */
	async entries(channel: string, count: number): Promise<Entry[]> {
		await this.#until(() => this.of(channel).length >= count);
		return this.of(channel);
	}

	async reset(channel: string): Promise<Position> {
		const find = (): Position | undefined => this.resets.find((reset) => reset.channel === channel)?.position;
		await this.#until(() => find() !== undefined);
		return find()!;
	}

	#until(ready: () => boolean): Promise<void> {
		if (ready()) {
			return Promise.resolve();
		}
		return new Promise((resolve) => this.#waiting.push({ ready, resolve }));
	}

	#wake(): void {
		this.#waiting = this.#waiting.filter(({ ready, resolve }) => {
			if (ready()) {
				resolve();
				return false;
			}
			return true;
		});
	}
}
