/**
 * Calls that are performed once on all nodes together: each is claimed in the broker's records before it is begun, and
 * its reply is put there. A repeat at another node, or after a restart, gets the first reply or waits for it. Where the
 * process that began a call is gone, nobody knows what has become of it: that is then the reply, and it is never begun
 * again.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Records } from "@tidewire/broker";
import type { Ack, Failure, MessageId } from "@tidewire/protocol";
import { msgpackClient, msgpackServer } from "@tidewire/protocol/msgpack";
import type { Done } from "../connection/performed.ts";
import { Refusal } from "../refusal.ts";
import type { NodeLease } from "./node-lease.ts";
import { HOLDER_BYTES } from "./record.ts";

export interface ClaimsOptions {
	readonly records: Pick<Records, "get" | "setIfAbsent" | "replace">;
	readonly lease: Pick<NodeLease, "begin" | "isAlive">;
	/** This process, among all that ever used the broker: 12 bytes in base64url. */
	readonly instance: string;
	readonly windowMs: number;
	/** Runs a task later, once. */
	readonly after: (delayMs: number, task: () => void) => void;
	/** Told of what the broker refused. */
	readonly failed: (cause: unknown) => void;
}

/** One call of a session. */
export interface ClaimedCall {
	readonly scope: string;
	readonly action: string;
	readonly id: MessageId;
	/** Performs it. Never rejects. */
	readonly run: () => Promise<Done>;
	/** Told when there is nothing more to find out before it is begun. May be called twice. */
	readonly begun: () => void;
}

const CLAIM = 0;
const REPLY = 1;
const NONCE_BYTES = 8;
/** The longest reply that is kept: a record may have 64 KiB, and there is room for so many. */
const MAX_REPLY_BYTES = 32 * 1024;
/** How often a call that is at work elsewhere is looked at. */
const FIRST_LOOK_MS = 25;
const LAST_LOOK_MS = 1_000;
/** Claims of which it is not known whether they were written; beyond it a repeat of the oldest is answered late. */
const MAX_UNCLEAR = 10_000;

export class Claims {
	readonly #options: ClaimsOptions;
	/** Claims that the broker did not answer to, and that nothing was begun for. */
	readonly #unclear = new Map<string, Uint8Array>();
	/** Writes that nobody waits for, but the end. */
	readonly #pending = new Set<Promise<unknown>>();
	#withdrawing = false;
	/** What is being given up, or was last. */
	#withdrawn: { readonly key: string; readonly done: Promise<void> } | undefined;
	#closed = false;

	constructor(options: ClaimsOptions) {
		this.#options = options;
	}

	/** Performs a call, or finds what has become of it. Never rejects. */
	async perform(call: ClaimedCall): Promise<Done> {
		const { scope, action, id, run, begun } = call;
		const digest = createHash("sha256").update(JSON.stringify([scope, action, id]));
		const key = `call:${digest.digest("base64url")}`;
		try {
			if (this.#withdrawn?.key === key) {
				await this.#withdrawn.done;
			}
			// Of a claim that may have been written before, and that nothing was begun for, this is the repeat.
			const unclear = this.#unclear.get(key);
			this.#unclear.delete(key);
			const claim = unclear ?? this.#newClaim();
			const present = await this.#claim(key, claim, unclear !== undefined);
			begun();
			if (present !== undefined) {
				return await this.#outcome(key, id, present);
			}
			const done = await run();
			this.#conclude(key, claim, id, done);
			return done;
		} catch (cause) {
			this.#options.failed(cause);
			return failure(id, new Refusal("unavailable", "the broker is not available; this call was not begun here"));
		} finally {
			begun();
		}
	}

	/** Waits for what is still being written. Calls at work go on, and nobody learns what becomes of them. */
	async close(): Promise<void> {
		this.#closed = true;
		if (!this.#withdrawing) {
			await this.#withdraw();
		}
		while (this.#pending.size > 0) {
			await Promise.all(this.#pending);
		}
	}

	#newClaim(): Uint8Array {
		return Buffer.concat([
			Uint8Array.of(CLAIM),
			Buffer.from(this.#options.instance, "base64url"),
			randomBytes(NONCE_BYTES),
		]);
	}

	/** Claims the call: undefined where that succeeds, else what stands there. Rejects with the broker's error. */
	async #claim(key: string, claim: Uint8Array, again: boolean): Promise<Uint8Array | undefined> {
		const { records, lease, windowMs } = this.#options;
		try {
			await lease.begin();
			const present = await records.setIfAbsent(key, claim, windowMs);
			if (!again || present === undefined || Buffer.compare(present, claim) !== 0) {
				return present;
			}
			// It was written after all.
			return (await records.replace(key, claim, claim, windowMs)) ? undefined : await records.get(key);
		} catch (cause) {
			this.#remember(key, claim);
			throw cause;
		}
	}

	#remember(key: string, claim: Uint8Array): void {
		this.#unclear.set(key, claim);
		for (const oldest of this.#unclear.keys()) {
			if (this.#unclear.size <= MAX_UNCLEAR) {
				break;
			}
			this.#unclear.delete(oldest);
		}
		this.#withdrawLater();
	}

	#withdrawLater(): void {
		if (!this.#withdrawing && !this.#closed && this.#unclear.size > 0) {
			this.#withdrawing = true;
			this.#options.after(LAST_LOOK_MS, () => {
				void this.#withdraw().finally(() => {
					this.#withdrawing = false;
					this.#withdrawLater();
				});
			});
		}
	}

	/** Gives up what nothing was begun for, so that a repeat at another node does not wait for it. Never rejects. */
	async #withdraw(): Promise<void> {
		for (const [key, claim] of this.#unclear) {
			this.#unclear.delete(key);
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#withdrawn = { key, done: promise };
			try {
				await this.#options.records.replace(key, claim, undefined, 0);
			} catch {
				this.#unclear.set(key, claim);
				return;
			} finally {
				resolve();
			}
		}
	}

	/** What has become of a call that another has claimed: waits while that one lives. Rejects with the broker's error. */
	async #outcome(key: string, id: MessageId, first: Uint8Array): Promise<Done> {
		const { records, lease, windowMs } = this.#options;
		let present: Uint8Array | undefined = first;
		for (let delayMs = FIRST_LOOK_MS; present?.[0] === CLAIM; delayMs = Math.min(2 * delayMs, LAST_LOOK_MS)) {
			if (this.#closed) {
				return failure(id, new Refusal("unavailable", "this node is going away"));
			}
			if (!(await lease.isAlive(holderOf(present)))) {
				const unknown = encode(unknownOutcome(id).reply);
				if (await records.replace(key, present, unknown, windowMs)) {
					return unknownOutcome(id);
				}
			} else {
				await new Promise<void>((resolve) => this.#options.after(delayMs, resolve));
			}
			present = await records.get(key);
		}
		if (present === undefined) {
			return failure(id, new Refusal("unavailable", "the first try has failed, and may be repeated"));
		}
		return decode(present) ?? unknownOutcome(id);
	}

	/** Puts the reply where the claim stood; after a retryable failure nothing, so that a repeat is a new try. */
	#conclude(key: string, claim: Uint8Array, id: MessageId, { reply }: Done): void {
		const { records, windowMs } = this.#options;
		const value = reply.error?.retryable === true ? undefined : encode(reply, id);
		const written = records
			.replace(key, claim, value, windowMs)
			.catch(this.#options.failed)
			.finally(() => this.#pending.delete(written));
		this.#pending.add(written);
	}
}

function holderOf(claim: Uint8Array): string {
	return Buffer.from(claim.subarray(1, 1 + HOLDER_BYTES)).toString("base64url");
}

function failure(ack: MessageId, { wire }: Refusal): Done {
	return { reply: { ack, error: wire }, bytes: JSON.stringify(wire).length };
}

function unknownOutcome(id: MessageId): Done {
	return failure(id, new Refusal("internal", "the node that began this call is gone: its outcome is unknown"));
}

/** MessagePack, since that writes whatever a reply may hold; `decode` gives what a client of any encoding was sent. */
function encode(reply: Ack | Failure, id?: MessageId): Uint8Array {
	const { data } = msgpackServer.encode(reply);
	if (data.length > MAX_REPLY_BYTES && id !== undefined) {
		const short = new Refusal("internal", "this call was performed, but its reply is too long to be kept");
		return encode(failure(id, short).reply);
	}
	return Buffer.concat([Uint8Array.of(REPLY), data]);
}

/** Undefined for what a later version has written. */
function decode(value: Uint8Array): Done | undefined {
	try {
		// Only replies were encoded.
		const reply = msgpackClient.decode(value.subarray(1)) as Ack | Failure;
		return { reply, bytes: value.length };
	} catch {
		return undefined;
	}
}
