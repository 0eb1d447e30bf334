/**
 * The network between clients and nodes: it makes links and can harm them. It chooses nothing that its user did not
 * leave to the seed: latencies, and which node a client is led to.
 */
import { pick } from "../../packages/cli/src/verify/fault/random.ts";
import type { ClientSocket, Way } from "./client-socket.ts";
import { Link } from "./link.ts";
import type { World } from "./world.ts";

/** A node as the network sees it. */
export interface Host {
	readonly name: string;
	/** In whose name its tasks are done; undefined while it is down. */
	readonly owner: string | undefined;
	/** A request for a WebSocket has come. */
	request(link: Link, target: string, protocol: string): void;
}

export interface NetworkOptions {
	readonly latencyMs: number;
	readonly windowBytes: number;
	readonly splits: number;
}

/** While something is held back on links: how to let it go. */
type Release = () => void;

export class Network implements Way {
	readonly world: World;
	readonly hosts: readonly Host[];
	/** Of all time. */
	readonly links: Link[] = [];
	readonly #options: NetworkOptions;
	/** Who cannot be reached, and who has tried. */
	readonly #partitions = new Map<string, (() => void)[]>();

	constructor(world: World, hosts: readonly Host[], options: NetworkOptions) {
		this.world = world;
		this.hosts = hosts;
		this.#options = options;
	}

	get whole(): readonly Link[] {
		return this.links.filter((link) => link.whole);
	}

	connect(client: ClientSocket, url: URL, protocol: string): void {
		const host = pick(this.world.random, this.hosts);
		this.world.after(this.#latency(), () => this.#arrive(client, host, url, protocol), client.owner);
	}

	#arrive(client: ClientSocket, host: Host, url: URL, protocol: string): void {
		const waiting = this.#partitions.get(host.name);
		if (waiting !== undefined) {
			waiting.push(() => this.#arrive(client, host, url, protocol));
			return;
		}
		const { owner } = host;
		if (client.readyState !== 0) {
			return;
		}
		if (owner === undefined) {
			this.world.after(this.#latency(), () => client.broken(), client.owner);
			return;
		}
		const link = new Link(this.world, client, {
			number: this.links.length + 1,
			node: host.name,
			nodeOwner: owner,
			windowBytes: this.#options.windowBytes,
			splits: this.#options.splits,
			latencyMs: () => this.#latency(),
		});
		this.links.push(link);
		client.link = link;
		this.world.after(0, () => host.request(link, url.pathname + url.search, protocol), owner);
	}

	/** Nothing comes to a node or from it. What is under way arrives later. */
	partition(host: Host): Release {
		const waiting = this.#partitions.get(host.name) ?? [];
		this.#partitions.set(host.name, waiting);
		const held = this.links.filter(({ node, whole }) => node === host.name && whole).flatMap(holdBoth);
		return () => {
			this.#partitions.delete(host.name);
			for (const release of held) {
				release();
			}
			for (const retry of waiting.splice(0)) {
				retry();
			}
		};
	}

	/** The process of a node is gone. Clients learn it from the system of its machine, or, where `silent`, by trying. */
	killed(owner: string, silent: boolean): void {
		const { random } = this.world;
		for (const link of this.links.filter(({ server, whole }) => server.owner === owner && whole)) {
			link.silent = silent;
			link.cut(silent ? undefined : random() * 50, undefined);
		}
	}

	#latency(): number {
		const { latencyMs } = this.#options;
		const { random } = this.world;
		// Now and then one is much later than those before it.
		return 0.1 + random() * latencyMs * (random() < 0.05 ? 10 : 1);
	}
}

function holdBoth(link: Link): Release[] {
	return [link.up.hold(), link.down.hold()];
}
