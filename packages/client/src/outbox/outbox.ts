/**
 * An outbox: publishes, and actions that ask for it, outlive their client, and so do the session that their ids count in
 * and the places where channels were. What is in it is read before the first connection is made, and a message is
 * there to stay before it is written to a socket: so the next client knows of each whether it can have been sent.
 */
import type { Ack } from "@tidewire/protocol";
import type { Outbox, OutboxClient, Positions } from "../client.ts";
import { TidewireError } from "../error.ts";
import type { Session } from "../machine.ts";
import type { Requests } from "../requests.ts";
import { createJournal } from "./journal.ts";
import { createKeptPositions } from "./kept-positions.ts";
import { createKeptRequests, type KeptRequests } from "./kept-requests.ts";
import { isSession, readMessages, SESSION } from "./records.ts";
import type { OutboxStore } from "./store.ts";

/** A message as it travels: `action`, `channel`, `data` and so on. */
export interface KeptMessage extends Readonly<Record<string, unknown>> {
	readonly id: number;
	readonly action: string;
	readonly channel?: string;
}

export interface OutboxOptions {
	/**
	 * What became of a message whose `publish` or `action` belongs to a page that is gone. With an error, it was refused, or
	 * (`unknown_outcome`) may have been done. Where this is not given, errors are the client's.
	 */
	readonly onOutcome?: (message: KeptMessage, outcome: Ack | TidewireError) => void;
	/** Milliseconds since 1970; for tests. */
	readonly nowMs?: () => number;
}

export interface KeepingOutbox extends Outbox {
	/** For the client's `positions`: subscriptions go on where the page before was. */
	readonly positions: Positions;
	/** What waits to be sent or answered, oldest first. */
	waiting(): readonly KeptMessage[];
	/** Forgets all that is kept; what waits is rejected with `cancelled`. For when somebody else signs in. */
	clear(): Promise<void>;
}

/** An outbox in a store of one's own. It belongs to one client; a new client takes a new one. */
export function createOutbox(store: OutboxStore, options: OutboxOptions = {}): KeepingOutbox {
	const { onOutcome, nowMs = Date.now } = options;
	const journal = createJournal(store);
	const positions = createKeptPositions(journal, nowMs);
	let kept: KeptRequests | undefined;
	let session: Session | undefined;
	let loaded: Promise<void> = Promise.resolve();
	const end = Promise.withResolvers<void>();

	async function load(client: OutboxClient, requests: KeptRequests): Promise<void> {
		let records: ReadonlyMap<string, unknown>;
		try {
			records = await journal.load();
		} catch (cause) {
			client.report(new TidewireError("outbox_failed", "the outbox cannot be read: nothing is kept", { cause }));
			requests.giveUp();
			return;
		}
		const found = records.get(SESSION);
		session = isSession(found) ? found : undefined;
		positions.restore(records);
		requests.restore(readMessages(records), session?.id);
	}

	return {
		positions,
		closed: end.promise,
		attach(requests: Requests, client) {
			if (kept !== undefined) {
				throw new TidewireError("bad_request", "an outbox belongs to one client");
			}
			const onClose = (): void => {
				positions.close();
				end.resolve(loaded.then(() => journal.close()));
			};
			kept = createKeptRequests({ requests, client, journal, nowMs, onOutcome, onClose });
			loaded = load(client, kept);
			return kept;
		},
		async session() {
			await loaded;
			return session;
		},
		waiting: () => kept?.waiting() ?? [],
		async clear() {
			await loaded;
			kept?.clear();
			session = undefined;
			await journal.put([SESSION, ...positions.clear()].map((key) => [key, undefined] as const));
		},
	};
}
