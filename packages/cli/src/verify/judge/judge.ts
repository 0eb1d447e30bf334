/**
 * Holds a record against the invariants: every acknowledged message reached every subscriber that was entitled to it,
 * once and in order, and every loss was announced. One pass, event by event, in memory that grows with messages and
 * channels, not with deliveries (a bit for each). It does no I/O and knows no clock but the record's.
 *
 * What is honest to expect: an outcome that is unknown may be either. What a server announces as lost is counted, not
 * blamed, except where it had acknowledged it as `stored` or `replicated` and lost it with its epoch.
 */
import type { RecordEvent } from "../record/event.ts";
import { isDefinite } from "../record/event.ts";
import { Findings } from "./counters.ts";
import { type EpochLog, Log, name } from "./log.ts";
import { covers } from "./offsets.ts";
import { Presence } from "./presence.ts";
import { Publishes, type Sent, type Standing } from "./publishes.ts";
import { Totals, type Verdict } from "./verdict.ts";
import { type EpochView, View } from "./view.ts";

export interface JudgeOptions {
	/** How many examples of each counter are kept. Default 5. */
	readonly examples?: number;
	/** How long after a revocation something may still come, in milliseconds. Default 1,000. */
	readonly revocationGraceMs?: number;
	/** For how long the server keeps a member whose connection is lost. Default 15,000. */
	readonly presenceGraceMs?: number;
	/** How much later than it is due everybody may know of a change of presence. Default 5,000. */
	readonly presenceLateMs?: number;
}

interface ChannelCase {
	readonly name: string;
	readonly publishes: Publishes;
	readonly log: Log;
	readonly views: Map<string, View>;
}

const NOBODY: Standing = { connection: 0, session: "", durability: "memory" };

export class Judge {
	readonly findings: Findings;
	readonly totals = new Totals();
	readonly #graceMs: number;
	readonly #presence: Presence;
	readonly #channels = new Map<string, ChannelCase>();
	readonly #standings = new Map<string, Standing>();
	/** The header is line 1. */
	#line = 1;
	#healed: { readonly line: number; readonly channels: readonly string[] } | undefined;
	#ended = false;

	constructor(options: JudgeOptions = {}) {
		const { examples = 5, revocationGraceMs = 1_000, presenceGraceMs = 15_000, presenceLateMs = 5_000 } = options;
		this.findings = new Findings(examples);
		this.#graceMs = revocationGraceMs;
		this.#presence = new Presence({ findings: this.findings, graceMs: presenceGraceMs, lateMs: presenceLateMs });
	}

	/** Events in the order of the record. */
	see(event: RecordEvent): void {
		const line = ++this.#line;
		switch (event.event) {
			case "connected":
				this.#connected(event);
				this.#presence.connected(event);
				break;
			case "lost":
				this.totals.connectionsLost++;
				this.#presence.lost(event, line);
				for (const { views } of this.#channels.values()) {
					views.get(event.client)?.lost();
				}
				break;
			case "publish":
				if (this.#channel(event.channel).publishes.publish(event.client, event.n, line, this.#standing(event))) {
					this.totals.published++;
				} else {
					this.totals.resent++;
				}
				break;
			case "ack": {
				const { publishes, log } = this.#channel(event.channel);
				const sent = publishes.ack(event.client, event.n, line, this.#standing(event));
				if (sent !== undefined) {
					this.totals.acked += sent.ackLine === line ? 1 : 0;
					log.acked(sent, event.epoch, event.offset, line);
				}
				break;
			}
			case "refused":
				this.#channel(event.channel).publishes.refused(event.client, event.n, line, event.code);
				break;
			case "unknown":
				// Known from the missing acknowledgement.
				break;
			case "subscribe":
				this.#view(event).subscribe(event.since);
				break;
			case "subscribed":
				this.totals.subscribed(this.#view(event).subscribed(event, event.recovered, line));
				break;
			case "not-subscribed":
				this.#view(event).notSubscribed(isFinal(event.code));
				break;
			case "message":
				this.totals.delivered++;
				this.#channel(event.channel).log.delivered(event.value, event.epoch, event.offset, line, event.client);
				this.#view(event).message(event, event.prev, line, event.t);
				break;
			case "gap":
				this.totals.announced("gap");
				this.#view(event).gap(event, event.reason, line);
				break;
			case "conflated":
				this.totals.announced("conflated");
				this.#view(event).conflated(event, line);
				break;
			case "reset":
				this.totals.announced("reset");
				this.#view(event).reset(event, line);
				break;
			case "unsubscribe":
				this.#view(event).unwanted();
				break;
			case "unsubscribed":
				this.#view(event).unsubscribed(event.by === "client" || isFinal(event.code ?? ""));
				break;
			case "revoked":
				this.#view(event).revoked(event.t);
				break;
			case "members":
				this.totals.presenceLists++;
				this.#presence.see(event, line);
				break;
			case "join":
			case "leave":
			case "update":
			case "count":
				this.totals.presenceTold++;
				this.#presence.see(event, line);
				break;
			case "enter":
			case "entered":
			case "not-entered":
			case "exit":
			case "exited":
				this.#presence.see(event, line);
				break;
			case "fault":
				this.totals.fault(event.kind);
				break;
			case "heal":
				this.#healed = { line, channels: event.channels };
				break;
			case "end":
				this.#ended = true;
				break;
			default:
				event satisfies never;
		}
		this.totals.durationMs = event.t;
	}

	/** Judges what only the end can tell. Called once. */
	finish(): Verdict {
		for (const channel of this.#channels.values()) {
			channel.publishes.judgeOrder();
			this.#judgePhantoms(channel);
			for (const view of channel.views.values()) {
				view.end();
				for (const [epoch, epochView] of view.epochs) {
					this.#judgeDelivery(channel, view, epochView, channel.log.find(epoch));
				}
			}
		}
		if (this.#ended) {
			this.#presence.end(this.totals.durationMs, this.#line, this.#healed !== undefined);
		}
		if (this.#ended && this.#healed !== undefined) {
			for (const channel of this.#healed.channels) {
				this.#judgeLiveness(this.#channel(channel), this.#healed.line);
			}
		}
		return this.totals.verdict(this.findings, this.#ended);
	}

	#connected(event: Extract<RecordEvent, { readonly event: "connected" }>): void {
		const { client, session, durability } = event;
		const connection = (this.#standings.get(client)?.connection ?? 0) + 1;
		this.#standings.set(client, { connection, session, durability });
		this.totals.connections++;
		this.totals.durabilities.add(durability);
	}

	#standing({ client }: { readonly client: string }): Standing {
		return this.#standings.get(client) ?? NOBODY;
	}

	#channel(name: string): ChannelCase {
		let found = this.#channels.get(name);
		if (found === undefined) {
			const publishes = new Publishes(name, this.findings);
			found = { name, publishes, log: new Log(name, publishes, this.findings), views: new Map() };
			this.#channels.set(name, found);
		}
		return found;
	}

	#view({ client, channel }: { readonly client: string; readonly channel: string }): View {
		const { views } = this.#channel(channel);
		let view = views.get(client);
		if (view === undefined) {
			view = new View({ client, channel, findings: this.findings, revocationGraceMs: this.#graceMs });
			views.set(client, view);
		}
		return view;
	}

	/** Each attempt was refused for good, and yet it stands in the log. */
	#judgePhantoms({ name: channel, publishes }: ChannelCase): void {
		for (const sent of publishes.all()) {
			if (sent.ackLine === 0) {
				const refused = sent.refusals >= sent.attempts;
				this.totals.unanswered(refused);
				if (refused && sent.offset > 0) {
					this.findings.add("phantom", [sent.line], () => {
						return `${name(sent)} on ${channel} was refused, and is at ${sent.epoch}:${sent.offset}`;
					});
				}
			}
		}
	}

	/** What was acknowledged, lies in what is owed, and neither came nor was announced, is lost. */
	#judgeDelivery(channel: ChannelCase, view: View, epoch: EpochView, log: EpochLog | undefined): void {
		const places = log?.sent ?? [];
		for (let offset = 1; offset < places.length; offset++) {
			const sent = places[offset];
			if (sent === undefined || sent.durability === undefined || epoch.seen.has(offset)) {
				continue;
			}
			const announced = epoch.announced.find(({ from, to }) => from <= offset && offset <= to);
			if (announced !== undefined && !(announced.reason === "epoch" && isKept(sent))) {
				this.totals.announcedLoss(announced.reason);
			} else if (announced !== undefined || (covers(epoch.owed, offset) && this.#isDue(epoch, offset))) {
				this.findings.add("lost_acked", [sent.line, sent.ackLine], () => {
					const why = announced === undefined ? "" : `: it was ${sent.durability}, but its epoch ended`;
					return `${view.client} never got ${sent.epoch}:${offset} of ${channel.name}, ${name(sent)}${why}`;
				});
			}
		}
	}

	/** In a record that was cut off, what lies in an open end may just not have come yet. */
	#isDue({ owed }: EpochView, offset: number): boolean {
		return this.#ended || !owed.some(({ from, to }) => to === Number.POSITIVE_INFINITY && from <= offset);
	}

	#judgeLiveness({ name: channel, publishes, views }: ChannelCase, line: number): void {
		const probes = [...publishes.all()].filter((sent) => sent.line > line && sent.ackLine > 0);
		if (probes.length === 0) {
			this.findings.add("stuck", [line], () => `nothing sent to ${channel} after the faults was acknowledged`);
		}
		for (const view of views.values()) {
			const missed = view.wanted ? probes.find((sent) => !hasSeen(view, sent)) : undefined;
			if (missed !== undefined) {
				this.findings.add("stuck", [missed.line, missed.ackLine], () => {
					return `${view.client} did not get ${name(missed)} on ${channel}, which was sent after the faults`;
				});
			}
		}
	}
}

function hasSeen(view: View, { epoch, offset }: Sent): boolean {
	const found = view.epochs.get(epoch);
	return found !== undefined && (found.seen.has(offset) || covers(found.announced, offset));
}

function isKept({ durability }: Sent): boolean {
	return durability !== "memory";
}

/** Whether a subscription that failed so is not to be tried again. */
function isFinal(code: string): boolean {
	return code !== "" && isDefinite(code) && code !== "rate_limited";
}
