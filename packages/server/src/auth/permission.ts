/**
 * Who may do what. Rules stand beside channel patterns and action names; where there is no rule, the answer is no. A
 * rule that throws opens no door either, but has not answered: the caller may ask again.
 */
import {
	type ActionName,
	type ChannelParams,
	type ChannelPattern,
	type Contract,
	isOwnPattern,
	OWN_PATTERNS,
	type OwnPattern,
} from "@tidewire/contract";
import { ServerError } from "../errors.ts";
import { refuseUnknownNames } from "../option-names.ts";
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
	readonly [Pattern in Exclude<ChannelPattern<C>, OwnPattern>]?: Rule<RuleContext<U, Pattern>>;
};

/** Beside the contract's channels, declared or not: the caller's own, which nobody publishes to without a rule. */
export type PublishRules<C extends Contract, U extends User> = {
	readonly [Pattern in ChannelPattern<C> | OwnPattern]?: Rule<RuleContext<U, Pattern>>;
};

export interface CallRuleContext<U extends User> {
	readonly user: U | null;
	readonly action: string;
}

/** `call` without a rule: any authenticated user may call; the handler may refuse more. */
export interface Permissions<C extends Contract, U extends User> {
	/** A caller's own channels (`@user`, `@device:…`) need no rule: who is somebody always may. */
	readonly subscribe?: ChannelRules<C, U>;
	readonly publish?: PublishRules<C, U>;
	/** Default, for each pattern without a rule here: whoever may subscribe. */
	readonly history?: ChannelRules<C, U>;
	/** Who may enter a channel, and see who is there. Default, for each pattern without a rule here: whoever may subscribe. */
	readonly presence?: ChannelRules<C, U>;
	readonly call?: { readonly [Name in ActionName<C>]?: Rule<CallRuleContext<U>> };
}

const CHANNEL_DEEDS = ["subscribe", "publish", "history", "presence"] as const;

/**
 * Throws `ServerError` (`bad_option`) for a rule that nobody would ask: of a pattern that the contract does not have ("*"
 * is the only one where it declares no channels), or of an action that there is not.
 */
export function refuseUnknownRules(
	may: Permissions<Contract, User>,
	patterns: readonly string[],
	actions: readonly string[],
): void {
	refuseUnknownNames("may", may, [...CHANNEL_DEEDS, "call"], "kind of permission");
	for (const deed of CHANNEL_DEEDS) {
		const rules = may[deed] ?? {};
		const own = Object.keys(rules).find(isOwnPattern);
		if (own !== undefined && deed !== "publish") {
			throw new ServerError("bad_option", `may.${deed} has "${own}", but a user always may: nobody else can mean it`);
		}
		const known = patterns.length === 0 ? ["*"] : patterns;
		refuseUnknownNames(
			`may.${deed}`,
			rules,
			deed === "publish" ? [...known, ...OWN_PATTERNS] : known,
			patterns.length === 0 ? "pattern where the contract declares no channels" : "channel pattern of the contract",
		);
	}
	refuseUnknownNames("may.call", may.call ?? {}, actions, "action");
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
