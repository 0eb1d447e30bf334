/**
 * The key that signs the tokens of sessions which are not stored, the same at all nodes of a broker: whichever is first
 * puts one into the broker's records, and it lives as long as a node does, and a day longer. Where it is lost, the tokens
 * that it has signed open nothing any more, as if everything else were lost with it.
 */
import { randomBytes } from "node:crypto";
import type { Records } from "@tidewire/broker";
import { beganMs, digestOf, KEY_BYTES, sameDigest, signedToken } from "./token.ts";

const NAME = "session-key";
const LIFE_MS = 86_400_000;
const RENEW_MS = LIFE_MS / 24;
/** How far the clocks of nodes may be apart. */
const SKEW_MS = 60_000;

export class Keyring {
	readonly #records: Pick<Records, "setIfAbsent" | "set">;
	readonly #windowMs: number;
	readonly #nowMs: () => number;
	/** This node's own until the broker has answered. */
	#key: Uint8Array = randomBytes(KEY_BYTES);
	#renewedMs: number | undefined;

	constructor(records: Pick<Records, "setIfAbsent" | "set">, windowMs: number, nowMs: () => number) {
		this.#records = records;
		this.#windowMs = windowMs;
		this.#nowMs = nowMs;
	}

	/** Takes over the broker's key. Rejects with its error. */
	async open(): Promise<void> {
		this.#renewedMs = this.#nowMs();
		const present = await this.#records.setIfAbsent(NAME, this.#key, LIFE_MS);
		if (present !== undefined) {
			this.#key = present;
		}
	}

	/** Once an hour. Rejects with the broker's error. */
	async renew(): Promise<void> {
		if (this.#renewedMs === undefined || this.#nowMs() - this.#renewedMs < RENEW_MS) {
			return;
		}
		await this.open();
		await this.#records.set(NAME, this.#key, LIFE_MS);
	}

	/** `owner`: whose the session is; undefined while that is not known. */
	sign(session: string, owner: Uint8Array | undefined): string {
		return signedToken(this.#key, session, owner);
	}

	/**
	 * Whether this is the digest of a token that a node signed for this owner, or before it knew one, and so lately that
	 * the session would still be stored if it ever had been.
	 */
	hasSigned(session: string, owner: Uint8Array, digest: Uint8Array): boolean {
		const forOwner = sameDigest(digestOf(this.sign(session, owner)), digest);
		const forAny = sameDigest(digestOf(this.sign(session, undefined)), digest);
		if (!forOwner && !forAny) {
			return false;
		}
		const ageMs = this.#nowMs() - beganMs(session);
		return ageMs < this.#windowMs && ageMs > -SKEW_MS;
	}
}
