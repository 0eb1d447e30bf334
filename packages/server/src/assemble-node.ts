/**
 * A node's parts, put together: what each needs of the others is given to it here. It knows no HTTP and no port; the
 * server (`server.ts`) brings connections to it.
 */
import { randomBytes } from "node:crypto";
import type { Broker } from "@tidewire/broker";
import { type Contract, compileChannels } from "@tidewire/contract";
import { BrokerEar } from "./broker-ear.ts";
import { perform } from "./commands/command.ts";
import type { Connection } from "./connection/connection.ts";
import { Heartbeat } from "./connection/heartbeat.ts";
import { Performed } from "./connection/performed.ts";
import { Turn } from "./connection/turn.ts";
import { DurableConsumers } from "./durable/consumers.ts";
import { FanOutReports } from "./fan-out-report.ts";
import { Hub } from "./hub/hub.ts";
import type { Subscription } from "./hub/subscription.ts";
import type { TidewireNode } from "./node.ts";
import type { ResolvedOptions } from "./options.ts";
import { OwnChannels } from "./own-channels.ts";
import { Presence } from "./presence/presence.ts";
import { publisher } from "./publisher.ts";
import { Refusal } from "./refusal.ts";
import { ScheduleQuota } from "./schedule-quota.ts";
import { keepSessions } from "./session/keep-sessions.ts";
import { States } from "./state/states.ts";

/** How often calls that may be forgotten are. */
const SWEEP_MS = 60_000;
/** How often some channels are compared with the broker (`Hub.checkPositions`). */
const POSITION_CHECK_MS = 1_000;
/** How often it is looked whether a durable consumer that is connected has to be kept from expiring. */
const RENEWAL_MS = 60 * 60_000;
/** Durable consumers of which this node remembers what they have received until it is written. */
const MAX_RECEIVING = 100_000;
/** How long nodes have to say what became of a publish, by the protocol. */
const REPORT_TIMEOUT_MS = 1_000;
/** Reports that are waited for on this node, and of one connection. */
const MAX_REPORTS = 10_000;
const MAX_REPORTS_OF_ONE = 100;
/** What one client may have waiting for its time: of the bytes, an eighth of what brokers keep by default. */
const SCHEDULED_OF_ONE = { count: 1_000, bytes: 16 * 1024 * 1024, nobodyTimes: 4 };

export interface AssembledNode {
	readonly node: TidewireNode;
	/** Ends its timers and what it has at the broker, and the broker. Its connections are gone by then. */
	stop(): Promise<void>;
}

/** Puts a node together and starts its clocks. */
export function assembleNode(contract: Contract, options: ResolvedOptions, broker: Broker): AssembledNode {
	const channels = compileChannels(contract);
	const heartbeat = new Heartbeat(options.heartbeat);
	const ear = new BrokerEar(broker);
	const ownChannels = new OwnChannels(contract);
	const reports = new FanOutReports({
		broker,
		ear,
		log: options.log,
		timeoutMs: REPORT_TIMEOUT_MS,
		maxWaiting: MAX_REPORTS,
		maxWaitingOfOne: MAX_REPORTS_OF_ONE,
		nowMs: () => performance.now(),
		after,
	});
	const presence = new Presence({
		broker,
		ear,
		log: options.log,
		graceMs: options.presenceGraceMs,
		silenceMs: options.heartbeat.intervalMs + options.heartbeat.timeoutMs,
		nowMs: options.nowMs,
		after,
	});
	const states = new States(broker, {
		nowMs: options.nowMs,
		setTimer: (task, delayMs) => after(delayMs, task),
		failed: (channel, cause) => options.log.error("what has expired could not be published", { cause, channel }),
	});
	const durables = new DurableConsumers({
		broker,
		nowMs: options.nowMs,
		setTimer: (task, delayMs) => after(delayMs, task),
		...options.durable,
		maxConsumers: MAX_RECEIVING,
		failed: (cause) => options.log.error("a durable consumer's cursor could not be written", { cause }),
	});
	const hub = new Hub(broker, {
		maxLogBytes: options.limits.maxLogBytes,
		maxLogsBytes: options.limits.maxLogsBytes,
		nowMs: options.nowMs,
		reported: (report, counts) => reports.tell(report, counts),
		unserved: (subscription, cause) => {
			options.log.error("history could not be read", { cause, channel: subscription.channel.name });
			const { channel, subscriber } = subscription;
			hub.leave(subscription);
			presence.leave(subscription.subscriber, subscription.channel.wireName);
			const { wire } = new Refusal("unavailable", "the channel's history cannot be read");
			const { codec } = subscriber.encoding;
			if (codec.enveloped) {
				const event = { channel: channel.wireName, event: "unsubscribed", error: wire } as const;
				subscriber.send(subscriber.encoding.frame(codec.encode(event)));
			} else {
				subscriber.lost(subscription, "reset");
			}
		},
	});
	ear.hub(hub);
	const kept = keepSessions({ ...options, broker, ear });
	const node: TidewireNode = {
		id: options.node ?? randomBytes(6).toString("base64url"),
		options,
		contract,
		channels,
		ownChannels,
		may: options.may ?? {},
		broker,
		hub,
		durables,
		log: options.log,
		turn: new Turn(),
		heartbeat,
		sessions: kept.sessions,
		claims: kept.claims,
		performed: new Performed({
			windowMs: options.windowMs,
			maxPerScope: options.limits.maxRememberedCalls,
			maxBytes: options.limits.maxRememberedBytes,
			nowMs: options.nowMs,
		}),
		presence,
		reports,
		scheduleQuota: new ScheduleQuota(options.nowMs, SCHEDULED_OF_ONE),
		states,
		publisher: publisher({
			broker,
			presence,
			contract,
			states,
			channels,
			ownChannels,
			reports,
			nowMs: options.nowMs,
		}),
		connections: new Set<Connection>(),
		perform: (connection, message) => perform(node, connection, message),
		unblocked: (connection) => presence.unblocked(connection),
		departed: (connection, why) => presence.ended(connection, why),
		sessionEnded: (connection) => node.sessions.ended(connection),
	};
	heartbeat.start();
	const positionCheck = setInterval(() => void hub.checkPositions(), POSITION_CHECK_MS).unref();
	const sweep = setInterval(() => {
		node.performed.sweep();
		node.scheduleQuota.sweep();
	}, SWEEP_MS).unref();
	const renewal = setInterval(() => void durables.renew(subscriptionsOf(node)), RENEWAL_MS).unref();

	return {
		node,
		stop: async () => {
			clearInterval(sweep);
			clearInterval(positionCheck);
			clearInterval(renewal);
			heartbeat.stop();
			await presence.stop();
			reports.close();
			states.stop();
			await durables.close();
			await kept.close();
			await broker.close();
		},
	};
}

function after(delayMs: number, task: () => void): () => void {
	const timer = setTimeout(task, delayMs).unref();
	return () => clearTimeout(timer);
}

function* subscriptionsOf({ connections }: TidewireNode): Generator<Subscription> {
	for (const { subscriptions } of connections) {
		yield* subscriptions;
	}
}
