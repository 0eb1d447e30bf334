/**
 * `--broker URL`: where channels live. `memory`; or `sqlite:PATH`, with `?synchronous=normal` for a file whose writes wait
 * for the kernel and not for the disk.
 */
import type { Broker } from "@tidewire/broker";
import type { Synchronous } from "@tidewire/broker-sqlite";

export type BrokerChoice =
	| { readonly kind: "memory" }
	| { readonly kind: "sqlite"; readonly path: string; readonly synchronous: Synchronous };

/** Throws an `Error` in words for the person who wrote the URL. */
export function readBrokerUrl(text: string): BrokerChoice {
	if (text === "memory") {
		return { kind: "memory" };
	}
	if (!text.startsWith("sqlite:")) {
		throw new Error("It is memory or sqlite:PATH; other brokers are not in this version.");
	}
	const [path = "", query] = text.slice("sqlite:".length).split("?");
	if (path === "") {
		throw new Error("sqlite: needs the name of a file: sqlite:./channels.db");
	}
	const synchronous = query === undefined ? "full" : /^synchronous=(full|normal)$/.exec(query)?.[1];
	if (synchronous !== "full" && synchronous !== "normal") {
		throw new Error("After the file's name only ?synchronous=full or ?synchronous=normal may follow.");
	}
	return { kind: "sqlite", path, synchronous };
}

/** The broker; undefined for the server's own, in memory. Rejects where the file cannot be had. */
export async function openBroker(choice: BrokerChoice): Promise<Broker | undefined> {
	if (choice.kind === "memory") {
		return undefined;
	}
	// Only here: where node:sqlite is still experimental, Node says so as soon as it is loaded.
	const { createSqliteBroker } = await import("@tidewire/broker-sqlite");
	return createSqliteBroker(choice);
}

/** What a person reads when the server opens. */
export function describeBroker(choice: BrokerChoice): string {
	if (choice.kind === "memory") {
		return "Broker: memory, so messages end with this process";
	}
	const survives = choice.synchronous === "full" ? "this process and this machine's crash" : "this process";
	return `Broker: ${choice.path}, so what is accepted survives ${survives}`;
}
