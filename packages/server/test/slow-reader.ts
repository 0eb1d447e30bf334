/** A client that does not read, for as long as a test wants: a paused TCP socket that leaves pings unanswered, too. */
import { jsonClient } from "@tidewire/protocol";
import { msgpackClient } from "@tidewire/protocol/msgpack";
import { OPCODE } from "@tidewire/websocket";
import { expect } from "vitest";
import { clientFrame, JSON_PROTOCOL, type Message, MSGPACK_PROTOCOL, Raw } from "./client.ts";

/** The fields that these tests look at. */
export interface Told extends Message {
	readonly offset?: number;
	readonly key?: string;
	readonly event?: string;
	readonly from?: number;
	readonly to?: number;
	readonly ack?: unknown;
	readonly data?: unknown;
	readonly patch?: unknown;
}

/** An enveloped client; binary data is bytes in whatever protocol it speaks. */
export class SlowReader {
	readonly raw: Raw;
	readonly messages: Told[] = [];
	readonly #packs: boolean;
	#taken = 0;

	constructor(url: string, { packs = false } = {}) {
		this.raw = new Raw(url);
		this.#packs = packs;
	}

	async upgrade(): Promise<void> {
		await this.raw.upgrade("/connect", { "Sec-WebSocket-Protocol": this.#packs ? MSGPACK_PROTOCOL : JSON_PROTOCOL });
	}

	/** Connects, and subscribes to channel "a". */
	async subscribe(fields: Message = {}): Promise<void> {
		await this.upgrade();
		const channel = { channel: "a", since: null };
		const { policy } = fields;
		const message = {
			type: "subscribe",
			id: 1,
			targets: [channel],
			many: false,
			...(policy ? { policy } : {}),
		} as const;
		const codec = this.#packs ? msgpackClient : jsonClient;
		this.raw.send(clientFrame(this.#packs ? OPCODE.binary : OPCODE.text, codec.encode(message as never)));
		await this.read((all) => all.some(({ ack }) => ack === 1));
		// A state channel's value may have come with it.
		this.messages.splice(0, this.messages.findIndex(({ ack }) => ack === 1) + 1);
	}

	stop(): void {
		this.raw.socket.pause();
	}

	/** Reads on, and answers pings, until something satisfies. */
	async read(satisfied: (messages: readonly Told[]) => boolean): Promise<readonly Told[]> {
		this.raw.socket.resume();
		await this.raw.until(() => {
			for (const { opcode, payload } of this.raw.frames.slice(this.#taken)) {
				if (opcode === OPCODE.ping) {
					this.raw.send(clientFrame(OPCODE.pong, payload));
				} else if (opcode === OPCODE.text) {
					this.messages.push(jsonClient.decode(payload.toString()) as unknown as Told);
				} else if (opcode === OPCODE.binary) {
					this.messages.push(msgpackClient.decode(payload) as unknown as Told);
				}
			}
			this.#taken = this.raw.frames.length;
			return satisfied(this.messages);
		});
		return this.messages;
	}
}

/** Each offset up to the head comes once and ascending, or is within a range that was announced before it. */
export function expectEachOffsetToldOf(messages: readonly Told[], head: number): void {
	let at = 0;
	/** Within it, the last of each key come. */
	let conflated = { last: 0, to: 0 };
	for (const { offset, event, from, to } of messages) {
		if (event === "gap" || event === "conflated") {
			expect(from).toBe(at + 1);
			conflated = event === "conflated" ? { last: at, to: to! } : conflated;
			at = to!;
		} else if (offset !== undefined && offset <= conflated.to) {
			expect(offset).toBeGreaterThan(conflated.last);
			conflated.last = offset;
		} else if (offset !== undefined) {
			expect(offset).toBe(at + 1);
			at = offset;
		}
	}
	expect(at).toBe(head);
}
