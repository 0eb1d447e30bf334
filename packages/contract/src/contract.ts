/**
 * The contract: which channels and actions there are, declared once and used by both ends. A server takes it as a
 * value, a client needs its type only. What can be refused is refused here, when the program starts.
 *
 * A part that declares nothing is open: any channel, or any action, with unknown data. So untyped use needs no other
 * code path, neither in types nor at run time.
 */
import { type BuiltInAction, refuseActionName } from "./action-name.ts";
import { compileChannels } from "./channel-router.ts";
import type { ActionDeclaration, ChannelDeclaration } from "./declaration.ts";

/** Channels by pattern: literal names, and names with parameters such as "order_{orderId}" or "chat:{room}". */
export type Channels = { readonly [pattern: string]: ChannelDeclaration };

/** Actions by name. */
export type Actions = { readonly [name: string]: ActionDeclaration };

export interface Contract<C extends Channels = Channels, A extends Actions = Actions> {
	readonly channels: C;
	readonly actions: A;
}

export interface ContractParts<C extends Channels, A extends Actions> {
	readonly channels?: C;
	readonly actions?: A & RefusedNames<A>;
}

/** Makes a name that the protocol has taken a mistake for the type checker, too, with the reason in its message. */
type RefusedNames<A extends Actions> = {
	readonly [Name in keyof A]: Name extends BuiltInAction
		? `${Name} is built into the protocol: choose another name`
		: Name extends `$${string}`
			? "names that begin with $ are reserved"
			: unknown;
};

/**
 * Declares a contract.
 *
 * ```ts
 * export const delivery = contract({
 *   channels: { "order_{orderId}": channel({ data: Position, history: { age: "1h" }, slow: "conflate" }) },
 *   actions: { contact_driver: action({ input: z.object({ message: z.string().max(500) }) }) },
 * });
 * ```
 *
 * Throws `ContractError` for a pattern that is malformed, reserved or overlaps another, and for an action name that
 * the protocol has taken.
 */
export function contract<C extends Channels = Channels, A extends Actions = Actions>(
	parts: ContractParts<C, A>,
): Contract<C, A> {
	const declared: Contract<C, A> = Object.freeze({
		channels: withoutPrototype(parts.channels),
		actions: withoutPrototype(parts.actions),
	});
	compileChannels(declared);
	for (const name of Object.keys(declared.actions)) {
		refuseActionName(name);
	}
	return declared;
}

/** A frozen copy in which "constructor" or "__proto__" from a peer finds nothing. */
function withoutPrototype<T extends object>(part: T | undefined): T {
	return Object.freeze(Object.assign(Object.create(null), part)) as T;
}
