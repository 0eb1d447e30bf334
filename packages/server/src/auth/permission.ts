/**
 * Who may do what. Rules stand beside channel patterns and action names; where there is no rule, the answer is no. A
 * rule that throws opens no door either, but has not answered: the caller may ask again.
 */
import type { ChannelParams, ChannelPattern, Contract } from "@tidewire/contract";
import { Refusal } from "../refusal.ts";
import type { User } from "./caller.ts";

export interface RuleContext<U extends User, Pattern extends string = string> {
	/** Null for anonymous callers. */
	readonly user: U | null;
	readonly channel: string;
	/** The parameters of the channel's name, by its pattern. */
	readonly params: ChannelParams<Pattern>;
}

export type Rule<Context> = boolean | ((context: Context) => boolean | Promise<boolean>);

export type ChannelRules<C extends Contract, U extends User> = {
	readonly [Pattern in ChannelPattern<C>]?: Rule<RuleContext<U, Pattern>>;
};

export interface CallRuleContext<U extends User> {
	readonly user: U | null;
	readonly action: string;
}

/** `call` without a rule: any authenticated user may call; the handler may refuse more. */
export interface Permissions<C extends Contract, U extends User> {
	readonly subscribe?: ChannelRules<C, U>;
	readonly publish?: ChannelRules<C, U>;
	/** Default: whoever may subscribe. */
	readonly history?: ChannelRules<C, U>;
	readonly call?: { readonly [action: string]: Rule<CallRuleContext<U>> };
}

/** Asks a rule. Synchronous where the rule is. Throws or rejects with `Refusal` (`unavailable`) where the rule does. */
export function ask<Context>(
	rule: Rule<Context> | undefined,
	context: Context,
	failed: (cause: unknown) => void,
): boolean | Promise<boolean> {
	if (typeof rule !== "function") {
		return rule === true;
	}
	const unanswered = (cause: unknown): Refusal => {
		failed(cause);
		return new Refusal("unavailable", "the server cannot tell at present whether this is allowed");
	};
	try {
		const answer = rule(context);
		if (typeof answer === "boolean") {
			return answer;
		}
		return Promise.resolve(answer).then(
			(later) => later === true,
			(cause) => Promise.reject(unanswered(cause)),
		);
	} catch (cause) {
		throw unanswered(cause);
	}
}
