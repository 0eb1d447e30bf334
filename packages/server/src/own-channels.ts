/**
 * A user's own channels: `@user`, on all of the user's connections, and `@device:<id>`, on those that ask for that device.
 * On the wire everybody calls them the same; here is which channel of the broker is meant. Who may reach them is
 * `auth/access.ts`'s to say.
 */
import { createHash } from "node:crypto";
import {
	type ChannelDeclaration,
	type Contract,
	channel,
	isOwnPattern,
	type OwnPattern,
	SLOW_POLICIES,
} from "@tidewire/contract";

/** What a reserved name stands for. */
export type OwnName =
	| { readonly pattern: "@user" }
	/** The id is any text but the empty one: what a device calls itself. */
	| { readonly pattern: "@device:{device}"; readonly device: string };

const DEVICE = "@device:";

/** Undefined for a name that is no own channel's. The name's validity as such is not looked at. */
export function readOwnName(name: string): OwnName | undefined {
	if (name === "@user") {
		return { pattern: "@user" };
	}
	return name.startsWith(DEVICE) && name.length > DEVICE.length
		? { pattern: "@device:{device}", device: name.slice(DEVICE.length) }
		: undefined;
}

/** How a client asks for it. */
export function wireNameOf(own: OwnName): string {
	return own.pattern === "@user" ? "@user" : `${DEVICE}${own.device}`;
}

/**
 * The broker's channel, different for each (user, device): ids are the application's and the devices' own, and may look
 * like anything. A part never holds a colon, and no wire name of another kind of channel begins with @.
 */
export function brokerNameOf(user: string, own: OwnName): string {
	return own.pattern === "@user" ? `@user:${part(user)}` : `${DEVICE}${part(user)}:${part(own.device)}`;
}

/** Longer than this, and an id is named by its digest, so that every name is within what brokers take. */
const MAX_PART = 128;

function part(id: string): string {
	// Digests begin with #, which encoding leaves in no text. A lone surrogate has no UTF-8, but a digest.
	if (id.length <= MAX_PART && id.isWellFormed()) {
		const encoded = encodeURIComponent(id);
		if (encoded.length <= MAX_PART) {
			return encoded;
		}
	}
	return `#${createHash("sha256").update(Buffer.from(id, "utf16le")).digest("base64url")}`;
}

/** What holds for own channels, by the contract or by default: what came while nobody was connected waits for a week. */
export class OwnChannels {
	readonly #declared: ReadonlyMap<OwnPattern, ChannelDeclaration>;
	readonly #otherwise = channel({ history: { age: "7d" }, slowChoices: SLOW_POLICIES });

	constructor({ channels }: Pick<Contract, "channels">) {
		this.#declared = new Map(
			Object.entries(channels).flatMap(([source, each]) => (isOwnPattern(source) ? [[source, each] as const] : [])),
		);
	}

	declarationOf(pattern: OwnPattern): ChannelDeclaration {
		return this.#declared.get(pattern) ?? this.#otherwise;
	}
}
