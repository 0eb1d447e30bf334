/**
 * From a request's path and query to channels: what a plain client, which sends no `subscribe`, is subscribed to. A
 * template such as `/track?orderId={orderId}` names parameters; `channels` uses them.
 */
import { ContractError, compilePattern, fill, isOwnPattern, nameInBoth, type Pattern } from "@tidewire/contract";
import type { Entrance } from "../connection/connection.ts";
import { ServerError } from "../errors.ts";
import { refuseUnknownNames, unknownName } from "../option-names.ts";
import type { RouteOptions } from "../options.ts";

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze(Object.create(null));
/** More `?channel=` than this is no honest request. */
const MAX_QUERY_CHANNELS = 100;

const ROUTE_OPTIONS = ["channels", "publish", "presence"] satisfies (keyof RouteOptions)[];

class Route {
	readonly path: Pattern;
	readonly #query: ReadonlyMap<string, string>;
	readonly #options: RouteOptions;

	constructor(template: string, options: RouteOptions, patterns: readonly string[]) {
		refuseUnknownNames(`route "${template}"`, options, ROUTE_OPTIONS, "option");
		const [path = "", query = ""] = template.split("?", 2);
		if (!path.startsWith("/")) {
			throw new ServerError("bad_option", `route "${template}" must begin with /`);
		}
		if (options.presence !== undefined && options.presence !== "plain") {
			throw new ServerError("bad_option", `route "${template}": presence is "plain", or is left out`);
		}
		this.path = compilePattern(path);
		this.#query = new Map([...new URLSearchParams(query)].map(([key, value]) => [key, placeholder(template, value)]));
		this.#options = options;
		const known = new Set([...this.path.parameters, ...this.#query.values()]);
		for (const channel of [...(options.channels ?? []), ...(options.publish === undefined ? [] : [options.publish])]) {
			const pattern = compilePattern(channel);
			// A caller's own channels are there without being declared.
			const declared = isOwnPattern(channel) || patterns.length === 0;
			if (!declared && !patterns.some((each) => nameInBoth(pattern, compilePattern(each)) !== undefined)) {
				throw unknownName(`route "${template}"`, channel, patterns, "channel of the contract");
			}
			for (const parameter of pattern.parameters) {
				if (!known.has(parameter)) {
					throw new ServerError(
						"bad_option",
						`route "${template}" does not say what {${parameter}} of "${channel}" is`,
					);
				}
			}
		}
	}

	/** Undefined where the path is another's; `"missing"` where a query parameter is missing, repeated or not a name. */
	match(path: string, query: URLSearchParams): Entrance | "missing" | undefined {
		const found = this.path.match(path);
		if (found === undefined) {
			return undefined;
		}
		const params: Record<string, string> = Object.create(null);
		try {
			for (const [parameter, value] of Object.entries(found)) {
				params[parameter] = decodeURIComponent(value);
			}
			for (const [key, parameter] of this.#query) {
				const values = query.getAll(key);
				if (values.length !== 1) {
					return "missing";
				}
				params[parameter] = values[0]!;
			}
			const { channels = [], publish, presence } = this.#options;
			return {
				params,
				channels: channels.map((channel) => fill(channel, params)),
				publish: publish === undefined ? undefined : fill(publish, params),
				...(presence === undefined ? {} : { presence }),
			};
		} catch (cause) {
			// Broken percent-encoding, or a value that a parameter cannot have: "a/b" decoded from "a%2Fb".
			if (cause instanceof URIError || cause instanceof ContractError) {
				return "missing";
			}
			throw cause;
		}
	}
}

export class Router {
	readonly #connectPath: string;
	readonly #routes: readonly Route[];

	/**
	 * `patterns`: the contract's; where there are none, any channel will do. Throws `ServerError` or `ContractError` for
	 * templates that cannot be read, and for channels that no name of the contract could be.
	 */
	constructor(
		connectPath: string,
		routes: { readonly [template: string]: RouteOptions },
		patterns: readonly string[] = [],
	) {
		this.#connectPath = connectPath;
		this.#routes = Object.entries(routes).map(([template, options]) => new Route(template, options, patterns));
	}

	/** Whether a path belongs to this server at all. */
	owns(path: string): boolean {
		return path === this.#connectPath || this.#routes.some((route) => route.path.match(path) !== undefined);
	}

	/** Undefined where no route has this path; `"missing"` where one has it, but not with this query. */
	match(path: string, query: URLSearchParams): Entrance | "missing" | undefined {
		if (path === this.#connectPath) {
			const channels = query.getAll("channel");
			return channels.length > MAX_QUERY_CHANNELS
				? "missing"
				: { params: NO_PARAMS, channels: [...new Set(channels)], publish: undefined };
		}
		let found: "missing" | undefined;
		for (const route of this.#routes) {
			const match = route.match(path, query);
			if (match === "missing") {
				found = match;
			} else if (match !== undefined) {
				return match;
			}
		}
		return found;
	}
}

function placeholder(template: string, value: string): string {
	const match = /^\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value);
	if (match === null) {
		throw new ServerError("bad_option", `route "${template}": the query value "${value}" must be a {parameter}`);
	}
	return match[1]!;
}
