/**
 * The requests of a client with an outbox: what is to be kept is held back until the store has it, and until the store
 * knows in which session it may have been sent. All else goes through untouched.
 *
 * What it adds to `requests.ts`: those of an earlier client come first; a refusal that may pass is tried again; and a
 * channel's publishes are accepted in order, though many are on their way (`after`).
 */
import type { Ack, MessageId } from "@tidewire/protocol";
import { hintMs } from "../backoff.ts";
import type { OutboxClient } from "../client.ts";
import { TidewireError } from "../error.ts";
import type { Session } from "../machine.ts";
import { type Answer, RETRY_MS, type Request, type Requests } from "../requests.ts";
import type { Journal } from "./journal.ts";
import type { KeptMessage } from "./outbox.ts";
import { type Mark, MESSAGE, type MessageRecord, messageKey, SESSION } from "./records.ts";

/** A refusal is not tried again before this, whatever the server asks for (S45). */
const AGAIN_MS = 1_000;

export interface KeptRequests extends Requests {
	/** What an earlier client left, oldest first; `session` is the one that goes on, if any. */
	restore(messages: readonly (readonly [key: string, message: MessageRecord])[], session: string | undefined): void;
	/** The store is no use: go on without it. */
	giveUp(): void;
	waiting(): readonly KeptMessage[];
	/** Forgets what is kept. */
	clear(): void;
}

interface Kept {
	readonly request: Request;
	/** Its place in the order; undefined until the store is read. */
	key: string | undefined;
	readonly channel: string | undefined;
	mark: Mark | undefined;
	/** How often it was written since an answer came. */
	writes: number;
	/** The one before it in its channel, as of the last writing, if that was not answered yet. */
	after: MessageId | undefined;
	/** It waits for those before it in its channel. */
	behind: boolean;
}

export interface KeptRequestsOptions {
	readonly requests: Requests;
	readonly client: OutboxClient;
	readonly journal: Journal;
	readonly nowMs: () => number;
	readonly onOutcome: ((message: KeptMessage, outcome: Ack | TidewireError) => void) | undefined;
	readonly onClose: () => void;
}

export function createKeptRequests(options: KeptRequestsOptions): KeptRequests {
	const { requests, client, journal, nowMs, onOutcome, onClose } = options;
	/** In the order in which they are sent. */
	const kept = new Map<MessageId, Kept>();
	// Ids of this client and of those before it in the same session must differ: 52 random bits to begin with.
	const firstId = (crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n) >> 12n;
	const base = Number(firstId);
	let state: "loading" | "keeping" | "passing" | "closed" = "loading";
	let lastPlace = 0;
	/** The one of the present connection. */
	let session: Session | undefined;
	/** Counts the connections: what was begun under another one is void. */
	let connection = 0;
	let unmarked = false;

	function keep(request: Request, key: string | undefined, mark?: Mark): Kept {
		const { channel } = messageOf(request);
		const own: Kept = { request, key, channel, mark, writes: 0, after: undefined, behind: false };
		const { answer } = request;
		request.held = true;
		request.answer = {
			resolve: (ack) => settle(own, () => answer.resolve(ack)),
			reject(error) {
				if (state === "closed" && kept.has(request.id)) {
					answer.reject(new TidewireError("closed", "it stays in the outbox", { cause: error }));
				} else {
					settle(own, () => answer.reject(error));
				}
			},
		};
		requests.add(request);
		kept.set(request.id, own);
		return own;
	}

	/** It is done: told first, then forgotten, so that it is told twice rather than not at all. */
	function settle(own: Kept, tell: () => void): void {
		kept.delete(own.request.id);
		tell();
		if (own.key !== undefined) {
			// The journal tries it again. Until then the message would be sent once more, under its id.
			journal.put([[MESSAGE + own.key, undefined]]).catch(() => {});
		}
		// Those that waited for it are sent again, the first of them behind nothing.
		for (const other of kept.values()) {
			if (other.behind && other.channel === own.channel) {
				other.behind = false;
				other.request.held = false;
				queueMicrotask(client.flush);
			}
		}
	}

	function recordOf(own: Kept): readonly [string, MessageRecord] {
		const { id, payload, expiresAt } = own.request;
		if (session !== undefined && own.request.firstAt === undefined) {
			own.mark = { session: session.id, at: nowMs() };
		}
		const until = Number.isFinite(expiresAt) ? nowMs() + expiresAt - client.now() : undefined;
		return [MESSAGE + own.key, { id, payload: payload as string, until, mark: own.mark }];
	}

	/** Writes down a new one, and lets it go. */
	function save(own: Kept): void {
		const { id, answer } = own.request;
		const begun = connection;
		lastPlace += 1;
		own.key = messageKey(lastPlace);
		journal.put([recordOf(own)]).then(
			() => {
				if (begun === connection) {
					release(own);
					client.flush();
				}
			},
			(cause: unknown) => {
				requests.forget(id);
				const isFull = cause instanceof Error && cause.name === "QuotaExceededError";
				const code = isFull ? "limit_reached" : "outbox_failed";
				answer.reject(new TidewireError(code, "the outbox cannot be written to", { cause }));
			},
		);
	}

	function release(own: Kept): void {
		own.request.held = own.behind;
	}

	/** Before anything is written to a new connection: what may be sent in its session, from now on. */
	function mark(): void {
		const begun = connection;
		unmarked = false;
		for (const own of kept.values()) {
			own.request.held = true;
			own.behind = false;
		}
		journal.put([[SESSION, session] as const, ...[...kept.values()].map(recordOf)]).then(
			() => {
				if (begun === connection) {
					kept.forEach(release);
					client.flush();
				}
			},
			(cause: unknown) => {
				unmarked = begun === connection;
				client.report(
					new TidewireError("outbox_failed", "the outbox cannot be written to: what it keeps waits", { cause }),
				);
			},
		);
	}

	/** Refused for now. What was refused was not done, so its channel's later ones must not be either. */
	function tryAgain(own: Kept, error: TidewireError): void {
		const { request } = own;
		if (own.writes === 1 && (error.code === "conflict" || error.code === "rate_limited")) {
			// It was certainly not done, and never will be: as if it had not been sent.
			request.firstAt = undefined;
		}
		own.writes = 0;
		const isBehind = error.code === "conflict" && own.after !== undefined;
		if (isBehind && kept.has(own.after as MessageId)) {
			own.behind = true;
			request.held = true;
		}
		const waitMs = isBehind ? 0 : Math.max(hintMs(error.retryAfter), AGAIN_MS);
		request.lastAt = client.now() + waitMs - RETRY_MS;
		client.flush();
	}

	/** The id of the channel's last before each, of those that are not answered. */
	function predecessors(): ReadonlyMap<Kept, MessageId> {
		const last = new Map<string, MessageId>();
		const before = new Map<Kept, MessageId>();
		for (const own of kept.values()) {
			if (own.channel !== undefined) {
				const id = last.get(own.channel);
				if (id !== undefined) {
					before.set(own, id);
				}
				last.set(own.channel, own.request.id);
			}
		}
		return before;
	}

	/** The server has forgotten what was sent before this. */
	const forgottenAt = ({ request }: Kept): number =>
		(request.lastAt === undefined ? undefined : request.firstAt) === undefined
			? Number.POSITIVE_INFINITY
			: (request.firstAt as number) + (session?.windowMs ?? 0);

	function drop(own: Kept, error: TidewireError): void {
		kept.delete(own.request.id);
		requests.forget(own.request.id);
		own.request.answer.reject(error);
	}

	/** What an earlier client's message is answered to: the application, if it wants to know. */
	function outcomeOf(message: KeptMessage): Answer {
		return {
			resolve: (ack) => onOutcome?.(message, ack),
			reject(error) {
				if (error.code === "closed" || error.code === "cancelled") {
					return;
				}
				if (onOutcome) {
					onOutcome(message, error);
				} else {
					client.report(error);
				}
			},
		};
	}

	return {
		nextId: () => base + requests.nextId(),
		forget: requests.forget,
		add(request) {
			if (request.keep !== true || state === "passing") {
				requests.add(request);
			} else if (typeof request.payload !== "string") {
				throw new TidewireError("bad_request", "an outbox keeps JSON: use the codec of JSON with it");
			} else {
				const own = keep(request, undefined);
				if (state === "keeping") {
					save(own);
				}
			}
		},
		restore(messages, sessionId) {
			const early = [...kept.values()];
			kept.clear();
			for (const { request } of early) {
				requests.forget(request.id);
			}
			for (const [key, { id, payload, until, mark: found }] of messages) {
				lastPlace = Math.max(lastPlace, Number(key));
				const ageMs = found === undefined ? 0 : nowMs() - found.at;
				const isKnown = found?.session === sessionId && ageMs >= 0;
				const firstAt = found === undefined ? undefined : isKnown ? client.now() - ageMs : Number.NEGATIVE_INFINITY;
				try {
					const answer = outcomeOf(messageOf({ payload }));
					const expiresAt = until === undefined ? Number.POSITIVE_INFINITY : client.now() + until - nowMs();
					keep({ id, kind: "once", payload, keep: true, expiresAt, firstAt, answer }, key, found);
				} catch (error) {
					client.report(error as TidewireError);
				}
			}
			for (const own of early) {
				kept.set(own.request.id, own);
				try {
					requests.add(own.request);
					save(own);
				} catch (error) {
					drop(own, error as TidewireError);
				}
			}
			state = state === "closed" ? state : "keeping";
		},
		giveUp() {
			state = "passing";
			for (const { request } of kept.values()) {
				request.held = false;
			}
			kept.clear();
			client.flush();
		},
		answered(id, answer) {
			const own = kept.get(id);
			if (own?.request.lastAt !== undefined && answer instanceof TidewireError && answer.retryable) {
				tryAgain(own, answer);
			} else {
				requests.answered(id, answer);
			}
		},
		disconnected() {
			connection += 1;
			session = undefined;
			requests.disconnected();
		},
		connected(resumed, next, now) {
			connection += 1;
			session = next;
			requests.connected(resumed, next, now);
			if (state !== "passing") {
				mark();
			}
		},
		deadline: () => Math.min(requests.deadline(), ...[...kept.values()].map(forgottenAt)),
		due(now, connected) {
			for (const own of [...kept.values()]) {
				if (forgottenAt(own) <= now) {
					requests.answered(
						own.request.id,
						new TidewireError("unknown_outcome", "no answer within the server's window"),
					);
				}
			}
			if (unmarked && connected) {
				mark();
			}
			const due = requests.due(now, connected);
			const before = due.length > 0 ? predecessors() : undefined;
			return due.map((request) => {
				const own = kept.get(request.id);
				if (own === undefined) {
					return request;
				}
				own.writes += 1;
				own.after = before?.get(own);
				const after = own.after === undefined ? "" : `"after":${JSON.stringify(own.after)},`;
				return { ...request, payload: `{${after}${(request.payload as string).slice(1)}` };
			});
		},
		close(error) {
			state = "closed";
			requests.close(error);
			onClose();
		},
		waiting: () => [...kept.values()].map(({ request }) => messageOf(request)),
		clear() {
			for (const own of [...kept.values()]) {
				drop(own, new TidewireError("cancelled", "the outbox was cleared"));
			}
		},
	};
}

function messageOf({ payload }: Pick<Request, "payload">): KeptMessage {
	return JSON.parse(payload as string) as KeptMessage;
}
