/**
 * A channel message of the enveloped protocol, read in place: of the bench's own messages only the channel's number,
 * the offset and the time at which the publish was due are looked at, without making a string. What does not look as
 * this server writes it is read as any JSON is. The due time travels as the message's `name`, so that the data can be
 * anybody's.
 */

/** The bench's channels of one run: this prefix and a number. */
export interface ChannelNames {
	readonly prefix: string;
}

export function channelName({ prefix }: ChannelNames, channel: number): string {
	return `${prefix}${channel}`;
}

/**
 * Where this process's own clock stands on the machine's steady one, which all processes share. The process may lose its
 * core between the two readings, which makes the difference too small: so the greatest of many is the right one.
 */
const originMicros = Math.max(
	...Array.from({ length: 100 }, () => {
		const machineMicros = Number(process.hrtime.bigint()) / 1_000;
		return machineMicros - performance.now() * 1_000;
	}),
);

/** Microseconds of the machine's steady clock. */
export function nowMicros(): number {
	return originMicros + performance.now() * 1_000;
}

/** Filled anew for each message, since millions come. */
export interface Delivery {
	channel: number;
	offset: number;
	/** Undefined where the offsets are dense. */
	previous: number | undefined;
	/** Microseconds of `nowMicros`; 0 where the message does not say. */
	dueMicros: number;
}

const QUOTE = 0x22;

export class DeliveryReader {
	readonly #head: Buffer;
	readonly #offset = Buffer.from('","offset":');
	readonly #name = Buffer.from(',"name":"');
	readonly #prefix: string;
	readonly delivery: Delivery = { channel: 0, offset: 0, previous: undefined, dueMicros: 0 };
	#at = 0;

	constructor({ prefix }: ChannelNames) {
		this.#prefix = prefix;
		const quoted = JSON.stringify(prefix);
		this.#head = Buffer.from(`{"channel":${quoted.slice(0, -1)}`);
	}

	/** Whether the bytes are a message of the bench's channels as Tidewire writes them; then `delivery` says which. */
	read(bytes: Uint8Array): boolean {
		const { delivery } = this;
		this.#at = 0;
		delivery.previous = undefined;
		if (!this.#skip(bytes, this.#head)) {
			return false;
		}
		delivery.channel = this.#number(bytes);
		if (!this.#skip(bytes, this.#offset)) {
			return false;
		}
		delivery.offset = this.#number(bytes);
		if (!this.#skip(bytes, this.#name)) {
			return false;
		}
		delivery.dueMicros = this.#number(bytes);
		return bytes[this.#at] === QUOTE && delivery.offset > 0;
	}

	/** As `read`, of a message that has been parsed. */
	readParsed(message: Readonly<Record<string, unknown>>): boolean {
		const { channel, offset, prev, name } = message;
		const number = this.channelOf(channel);
		if (number === undefined || typeof offset !== "number" || message.event !== undefined) {
			return false;
		}
		this.delivery.channel = number;
		this.delivery.offset = offset;
		this.delivery.previous = typeof prev === "number" ? prev : undefined;
		this.delivery.dueMicros = Number(name) || 0;
		return true;
	}

	/** The number of one of the bench's channels. */
	channelOf(name: unknown): number | undefined {
		if (typeof name !== "string" || !name.startsWith(this.#prefix)) {
			return undefined;
		}
		const number = Number(name.slice(this.#prefix.length));
		return Number.isSafeInteger(number) ? number : undefined;
	}

	#skip(bytes: Uint8Array, text: Buffer): boolean {
		const from = this.#at;
		for (let index = 0; index < text.length; index++) {
			if (bytes[from + index] !== text[index]) {
				return false;
			}
		}
		this.#at = from + text.length;
		return true;
	}

	#number(bytes: Uint8Array): number {
		let number = 0;
		for (let digit = (bytes[this.#at] ?? 0) - 48; digit >= 0 && digit <= 9; digit = (bytes[++this.#at] ?? 0) - 48) {
			number = number * 10 + digit;
		}
		return number;
	}
}
