/** What the application's own code can do with a state channel beside publishing: read its value and change a part. */
import type { MergePatch } from "@tidewire/contract";
import { formatPosition, parsePosition } from "@tidewire/protocol";
import { jsonText } from "./channel-data.ts";
import { ServerError } from "./errors.ts";
import { refuseUnknownNames } from "./option-names.ts";
import type { PublishExtras, Target } from "./publisher.ts";
import type { Change } from "./state/change.ts";
import { decodeJson } from "./state/document.ts";
import type { Changed, States } from "./state/states.ts";

/** What a change may carry beside itself. */
export type ChangeExtras = Omit<PublishExtras, "key" | "ttlMs" | "exclude">;

/** The value of a state channel at a position. Undefined: there is none yet. */
export interface StateValue<Data> {
	readonly position: string;
	readonly value: Data | undefined;
}

export type StateKey<Input> = unknown extends Input ? string : Extract<keyof Input, string>;
export type StateMember<Input, Key> = Key extends keyof Input ? Exclude<Input[Key], undefined> : unknown;

/** `Input` is what publishers give, `Data` what readers get. All changes reject as `Destination.publish` does. */
export interface StateDestination<Input, Data> {
	/** Changes the value by an RFC 7396 patch: null removes a member. Resolves with the position after it. */
	patch(patch: MergePatch<Input>, extras?: ChangeExtras): Promise<string>;
	/** Sets one member, replacing what it was. With `ttlMs` it is removed again after so many milliseconds. */
	setKey<Key extends StateKey<Input>>(
		key: Key,
		value: StateMember<Input, Key>,
		extras?: ChangeExtras & { readonly ttlMs?: number },
	): Promise<string>;
	/** The present value, as the broker has it, and where it stands: for `ifPosition` of the change made to it. */
	value(): Promise<StateValue<Data>>;
}

const IDEMPOTENCY_MS = 300_000;
const EXTRAS = ["name", "idempotencyKey", "ifPosition"] satisfies (keyof ChangeExtras)[];

/** `channel`: what it is called towards people. */
export function stateDestination(states: States, channel: string, target: Target): StateDestination<unknown, unknown> {
	return {
		async patch(patch, extras = {}) {
			refuseUnknownNames("the extras of patch", extras, EXTRAS, "option");
			return formatPosition((await appendChange(states, channel, target, { patch }, extras)).position);
		},
		async setKey(key, value, extras = {}) {
			refuseUnknownNames("the extras of setKey", extras, [...EXTRAS, "ttlMs"], "option");
			const { position } = await appendChange(states, channel, target, { data: value }, { ...extras, key });
			return formatPosition(position);
		},
		async value() {
			const { position, text } = await states.value(target.name);
			return { position: formatPosition(position), value: text && decodeJson(text) };
		},
	};
}

/** Rejects with `ServerError`, or with the broker's error. */
export async function appendChange(
	states: States,
	channel: string,
	{ name, route }: Target,
	content: { readonly data: unknown } | { readonly patch: unknown },
	{ name: event, key, ttlMs, exclude, idempotencyKey, ifPosition }: PublishExtras,
	report?: string,
): Promise<Extract<Changed, { readonly status: "accepted" }>> {
	if (exclude !== undefined) {
		throw new ServerError("bad_option", `${channel} is a state channel: its value is everybody's, without exclude`);
	}
	const result = await states.publish(name, route, {
		change: changeOf(channel, content, {
			...(key === undefined ? {} : { key }),
			...(ttlMs === undefined ? {} : { ttlMs }),
		}),
		attributes: {
			...(event === undefined ? {} : { name: event }),
			...(key === undefined ? {} : { key }),
			...(report === undefined ? {} : { report }),
		},
		ifPosition: ifPosition === undefined ? undefined : parsePosition(ifPosition),
		idempotencyKey: idempotencyKey === undefined ? undefined : `a:${idempotencyKey}`,
		idempotencyMs: IDEMPOTENCY_MS,
	});
	switch (result.status) {
		case "accepted":
			return result;
		case "conflict": {
			const position = formatPosition(result.position);
			throw new ServerError("conflict", `${channel} is at ${position}, not at ${ifPosition}`, { position });
		}
		case "refused": {
			const { issues } = result;
			const code = CODES[result.code];
			throw new ServerError(code, `${channel}: ${result.message}`, { issues });
		}
		case "early":
			throw new Error(`${channel}: the broker speaks of a publish before this one, and none was named`);
		default:
			return result satisfies never;
	}
}

const CODES = {
	bad_request: "bad_option",
	invalid_data: "invalid_data",
	too_large: "invalid_data",
	unavailable: "unavailable",
} as const;

/** By its JSON text, which says what travels: a date is a text there, and undefined is nothing. */
function changeOf(
	channel: string,
	content: { readonly data: unknown } | { readonly patch: unknown },
	member: { readonly key?: string; readonly ttlMs?: number },
): Change {
	if ("patch" in content) {
		return { kind: "patch", patch: JSON.parse(jsonText(content.patch)), ...member };
	}
	if (content.data instanceof Uint8Array) {
		throw new ServerError("invalid_data", `${channel} is a state channel: its value is JSON, not binary data`);
	}
	const text = new TextEncoder().encode(jsonText(content.data));
	return { kind: "value", value: decodeJson(text), text, ...member };
}
