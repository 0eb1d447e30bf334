/**
 * What a publish does to a state channel's value: the value that results, and what subscribers are told of it. Pure.
 * They are told as little as says it exactly: the publisher's own patch where that is what happened, else the patch
 * from the value before, else, where RFC 7396 has no words for the change, the whole value.
 */

import { applyPatch, isObject, patchBetween, setMember } from "@tidewire/protocol/merge-patch";
import { type Expiries, encodeJson, keptExpiries, StateDocument } from "./document.ts";

export type Change =
	/** The whole new value, or with `key` that of one member; `text` is the publisher's own. */
	| {
			readonly kind: "value";
			readonly value: unknown;
			readonly text: Uint8Array;
			readonly key?: string;
			readonly ttlMs?: number;
	  }
	/** An RFC 7396 patch of the whole value, or with `key` of one member. */
	| { readonly kind: "patch"; readonly patch: unknown; readonly key?: string; readonly ttlMs?: number }
	/** What has expired goes. */
	| { readonly kind: "expiry" };

/** A value that results, and its text. */
export interface Result {
	readonly value: unknown;
	readonly text: Uint8Array;
	/** Whether it is what the change asked for; a schema may have made another value of it. */
	readonly asAsked: boolean;
}

/** What is to be appended to the channel's log, and what the channel amounts to then. */
export interface Step {
	readonly document: StateDocument;
	readonly data: Uint8Array;
	readonly patch: boolean;
}

/** The value after a change, which is made to what readers see now. */
export function resultOf(before: StateDocument, change: Change, nowMs: number): Result {
	const { value } = before.at(nowMs);
	const made = (next: unknown): Result => ({ value: next, text: encodeJson(next), asAsked: true });
	switch (change.kind) {
		case "value": {
			if (change.key === undefined) {
				return { value: change.value, text: change.text, asAsked: true };
			}
			const next: Record<string, unknown> = isObject(value) ? { ...value } : {};
			setMember(next, change.key, change.value);
			return made(next);
		}
		case "patch":
			return made(applyPatch(value, wholePatch(change)));
		case "expiry":
			return made(value);
		default:
			return change satisfies never;
	}
}

export function stepOf(before: StateDocument, change: Change, result: Result, nowMs: number): Step {
	const { value, text } = result;
	const document = new StateDocument(text, expiriesAfter(before, change, value, nowMs), value);
	if (change.kind === "value" && change.key === undefined) {
		return { document, data: text, patch: false };
	}
	if (change.kind === "patch" && result.asAsked && before.expiredPatch(nowMs) === undefined) {
		return { document, data: encodeJson(wholePatch(change)), patch: true };
	}
	// From the value that was published last: subscribers still have the members that have expired since.
	const patch = isObject(value) ? patchBetween(before.value, value) : undefined;
	return patch === undefined
		? { document, data: text, patch: false }
		: { document, data: encodeJson(patch), patch: true };
}

/** A computed name is defined, not assigned: the key may be __proto__. */
function wholePatch({ key, patch }: Change & { readonly kind: "patch" }): unknown {
	return key === undefined ? patch : { [key]: patch };
}

/** An expiry belongs to a member: it goes when the member goes or is set anew, and stays when it is patched. */
function expiriesAfter(before: StateDocument, change: Change, value: unknown, nowMs: number): Expiries {
	const isWhole = change.kind === "value" && change.key === undefined;
	const expires = new Map(isWhole ? [] : before.expires);
	if (change.kind !== "expiry" && change.key !== undefined) {
		if (change.kind === "value") {
			expires.delete(change.key);
		}
		if (change.ttlMs !== undefined) {
			expires.set(change.key, nowMs + change.ttlMs);
		}
	}
	return keptExpiries(expires, value, nowMs);
}
