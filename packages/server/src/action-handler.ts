/** What an application writes to answer an action. */
import type { ActionName, Contract, HandlerInput, HandlerResult } from "@tidewire/contract";
import type { User } from "./auth/caller.ts";
import type { Publisher } from "./publisher.ts";

export interface ActionContext<C extends Contract, U extends User, Input> {
	/** Null for anonymous callers. */
	readonly user: U | null;
	readonly input: Input;
	/** The parameters of the route that the connection came by, such as `orderId` of `/track?orderId={orderId}`. */
	readonly params: Readonly<Record<string, string>>;
	/** The caller's session: a name, not a secret. */
	readonly session: string;
	/** Aborted when the caller cancels or is gone. */
	readonly signal: AbortSignal;
	/** The server, to publish with. */
	readonly server: Publisher<C>;
}

/** A handler for each action; a streaming one is an async generator. Throw `ActionError` to refuse with a reason. */
export type ActionHandlers<C extends Contract, U extends User> = {
	readonly [Name in ActionName<C>]: (context: ActionContext<C, U, HandlerInput<C, Name>>) => HandlerResult<C, Name>;
};

/** Thrown by a handler: its code and text go to the caller. Anything else that a handler throws is `internal`. */
export { Refusal as ActionError } from "./refusal.ts";
