/**
 * One message into every channel of the cluster that fits a pattern. Each channel gets an entry of its own in its own
 * log, so that order, resuming and gaps hold as they do for any message. Channels that nobody has subscribed to and
 * nothing has been published to do not exist, and get nothing; one that begins meanwhile may or may not.
 */
import { setImmediate } from "node:timers/promises";
import type { Broker, Publication, PublishOptions } from "@tidewire/broker";
import type { Pattern } from "@tidewire/contract";
import { channelNameProblem, isReservedChannel } from "@tidewire/protocol";

const PAGE = 1_000;
/** How many publishes are under way at once, and how many a turn of the event loop has at most. */
const AT_ONCE = 64;

/**
 * Resolves with the number of channels that have the entry. Rejects with the broker's error at the first failure: some
 * channels then have it and some have not, and a repeat with the same idempotency key does the rest.
 * `pattern` undefined: all channels that are not reserved.
 */
export async function broadcast(
	broker: Pick<Broker, "channels" | "publish">,
	pattern: Pattern | undefined,
	publication: Publication,
	options: PublishOptions,
): Promise<number> {
	let count = 0;
	for await (const names of namesOf(broker, pattern)) {
		for (let from = 0; from < names.length; from += AT_ONCE) {
			const batch = names.slice(from, from + AT_ONCE);
			await Promise.all(batch.map((name) => broker.publish(name, publication, options)));
			count += batch.length;
			await setImmediate();
		}
	}
	return count;
}

async function* namesOf(
	broker: Pick<Broker, "channels">,
	pattern: Pattern | undefined,
): AsyncGenerator<readonly string[]> {
	const prefix = pattern?.literals[0] ?? "";
	let after: string | undefined;
	for (;;) {
		const page = await broker.channels({ prefix, limit: PAGE, ...(after === undefined ? {} : { after }) });
		yield page.filter((name) => isMeant(name, pattern));
		after = page.at(-1);
		// A pattern without parameters is one name, which is the first of those that begin with it.
		if (page.length < PAGE || pattern?.parameters.length === 0) {
			return;
		}
	}
}

/** The broker may hold names that are no client's, or another application's. */
function isMeant(name: string, pattern: Pattern | undefined): boolean {
	if (isReservedChannel(name) || channelNameProblem(name) !== undefined) {
		return false;
	}
	return pattern === undefined || pattern.match(name) !== undefined;
}
