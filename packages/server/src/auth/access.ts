/**
 * From a channel's name, as a peer sent it, to its declaration, for a caller who may do what it asks. The only way to a
 * channel: what is not valid, not declared or not allowed is refused here.
 */
import type { ChannelRoute } from "@tidewire/contract";
import { channelNameProblem, isReservedChannel } from "@tidewire/protocol";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import type { Caller, User } from "./caller.ts";
import { ask, type Rule, type RuleContext } from "./permission.ts";

export type Deed = "subscribe" | "publish" | "history";

/** Throws or rejects with `Refusal`. Synchronous where the permission's rule is. */
export function access(
	node: TidewireNode,
	caller: Caller,
	deed: Deed,
	name: string,
): ChannelRoute | Promise<ChannelRoute> {
	const problem = channelNameProblem(name);
	if (problem !== undefined) {
		throw new Refusal("bad_request", `the channel's name ${problem}`);
	}
	if (isReservedChannel(name)) {
		throw new Refusal("not_found", `channel "${name}": names that begin with @ or $ are reserved`);
	}
	const route = node.channels.match(name);
	if (route === undefined) {
		throw new Refusal("not_found", `channel "${name}" matches no pattern of the contract`);
	}
	if (caller.full) {
		return route;
	}
	const rule = ruleOf(node.may, deed, route.pattern);
	const context = { user: caller.user, channel: name, params: route.params };
	const allowed = ask(rule, context, (cause) => {
		node.options.log.error("a permission's rule threw; refused", { cause, deed, pattern: route.pattern });
	});
	if (typeof allowed === "boolean") {
		return granted(allowed, deed, name, route);
	}
	return allowed.then((answer) => granted(answer, deed, name, route));
}

/** A pattern that has no rule of its own for history has the one for subscribing. */
function ruleOf(may: TidewireNode["may"], deed: Deed, pattern: string): Rule<RuleContext<User>> | undefined {
	const rules = may[deed];
	if (rules !== undefined && Object.hasOwn(rules, pattern)) {
		return rules[pattern];
	}
	return deed === "history" ? ruleOf(may, "subscribe", pattern) : undefined;
}

function granted(allowed: boolean, deed: Deed, name: string, route: ChannelRoute): ChannelRoute {
	if (!allowed) {
		throw new Refusal("forbidden", `${deed} on channel "${name}" is not allowed`);
	}
	return route;
}
