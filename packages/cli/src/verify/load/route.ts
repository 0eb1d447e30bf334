/** Which ways lead to the nodes of a deployment, and how a client takes one: any of them, each time anew. */
import type { FaultProxy } from "../fault/proxy.ts";
import { pick, type Random } from "../fault/random.ts";
import type { LoadClientOptions } from "./publisher.ts";
import { dial, type Route } from "./wire.ts";

export interface Destination {
	/** How many nodes, on the URL's port and those after it. */
	readonly nodes: number;
	readonly token: string | undefined;
}

/** To each node, through its proxy where it has one. */
export function routesTo(url: URL, { nodes, token }: Destination, proxies: readonly FaultProxy[]): readonly Route[] {
	return Array.from({ length: nodes }, (_, index) => {
		const own = new URL(url);
		own.port = index === 0 ? url.port : String(Number(url.port) + index);
		const proxy = proxies[index];
		const via = proxy === undefined ? {} : { via: { host: "127.0.0.1", port: proxy.port } };
		return { url: own, token, ...via };
	});
}

export function hostOf({ hostname }: URL): string {
	return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

/** A client comes back to any node. */
export function dialling(routes: readonly Route[], random: Random): Pick<LoadClientOptions, "dial" | "random"> {
	return { random, dial: (events, signal) => dial(pick(random, routes), events, signal) };
}

/** The SDK knows no way around: it is given the proxy's own address. */
export function sdkRoute({ url, via, token }: Route): { readonly url: URL; readonly token: string | undefined } {
	const through = new URL(url);
	if (via !== undefined) {
		through.hostname = via.host;
		through.port = String(via.port);
	}
	return { url: through, token };
}
