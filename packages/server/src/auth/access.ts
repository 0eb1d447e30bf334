/**
 * From a channel's name, as a peer sent it, to its declaration, for a caller who may do what it asks. The only way to a
 * channel: what is not valid, not declared or not allowed is refused here.
 */
import { type ChannelParameters, type ChannelRoute, NO_PARAMETERS } from "@tidewire/contract";
import { channelNameProblem, isReservedChannel } from "@tidewire/protocol";
import type { TidewireNode } from "../node.ts";
import { brokerNameOf, type OwnName, readOwnName } from "../own-channels.ts";
import { Refusal } from "../refusal.ts";
import type { Caller, User } from "./caller.ts";
import { ask, type Rule, type RuleContext } from "./permission.ts";

export type Deed = "subscribe" | "publish" | "history" | "presence";

/** A channel that the caller may do this with. */
export interface Access {
	readonly route: ChannelRoute;
	/** The broker's name of it: for a caller's own channel not the one that the peer sent. */
	readonly name: string;
}

/** Throws or rejects with `Refusal`. Synchronous where the permission's rule is. */
export function access(node: TidewireNode, caller: Caller, deed: Deed, name: string): Access | Promise<Access> {
	const problem = channelNameProblem(name);
	if (problem !== undefined) {
		throw new Refusal("bad_request", `the channel's name ${problem}`);
	}
	if (isReservedChannel(name)) {
		const own = readOwnName(name);
		if (own === undefined) {
			throw new Refusal("not_found", `channel "${name}": names that begin with @ or $ are reserved`);
		}
		return accessOwn(node, caller, deed, name, own);
	}
	const route = node.channels.match(name);
	if (route === undefined) {
		throw new Refusal("not_found", `channel "${name}" matches no pattern of the contract`);
	}
	return permitted(node, caller, deed, name, { route, name });
}

/** The caller is the only one who can mean this channel, so to subscribe needs no rule; to publish to it does. */
function accessOwn(
	node: TidewireNode,
	caller: Caller,
	deed: Deed,
	name: string,
	own: OwnName,
): Access | Promise<Access> {
	if (caller.user === null) {
		throw new Refusal("unauthenticated", `channel "${name}" is a user's own, and this caller is no user`);
	}
	const { pattern } = own;
	const route = { pattern, declaration: node.ownChannels.declarationOf(pattern), params: paramsOf(own) };
	const found = { route, name: brokerNameOf(caller.user.id, own) };
	return deed === "publish" ? permitted(node, caller, deed, name, found) : found;
}

function paramsOf(own: OwnName): ChannelParameters {
	return own.pattern === "@user" ? NO_PARAMETERS : Object.assign(Object.create(null), { device: own.device });
}

function permitted(
	node: TidewireNode,
	caller: Caller,
	deed: Deed,
	name: string,
	found: Access,
): Access | Promise<Access> {
	if (caller.full) {
		return found;
	}
	const { pattern, params } = found.route;
	const rule = ruleOf(node.may, deed, pattern);
	const allowed = ask(rule, { user: caller.user, channel: name, params }, (cause) => {
		node.options.log.error("a permission's rule threw; refused", { cause, deed, pattern });
	});
	if (typeof allowed === "boolean") {
		return granted(allowed, deed, name, found);
	}
	return allowed.then((answer) => granted(answer, deed, name, found));
}

/** A pattern that has no rule of its own for history, or for presence, has the one for subscribing. */
function ruleOf(may: TidewireNode["may"], deed: Deed, pattern: string): Rule<RuleContext<User>> | undefined {
	const rules = may[deed];
	if (rules !== undefined && Object.hasOwn(rules, pattern)) {
		return rules[pattern];
	}
	return deed === "history" || deed === "presence" ? ruleOf(may, "subscribe", pattern) : undefined;
}

function granted(allowed: boolean, deed: Deed, name: string, found: Access): Access {
	if (!allowed) {
		throw new Refusal("forbidden", `${deed} on channel "${name}" is not allowed`);
	}
	return found;
}
