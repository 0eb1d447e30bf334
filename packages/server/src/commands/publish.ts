/**
 * `publish`: one message into a channel. The reply means that the broker has accepted it. Publishes of one connection
 * are handed to the broker in the order in which they came.
 */

import { BrokerError, type Publication, type PublishOptions, type PublishResult } from "@tidewire/broker";
import { type BareMessage, formatPosition, type Payload, type PublishMessage, parsePosition } from "@tidewire/protocol";
import { type Access, access } from "../auth/access.ts";
import { type CheckedData, checkData } from "../channel-data.ts";
import type { Connection } from "../connection/connection.ts";
import { answerAt, placeFor } from "../connection/reply-order.ts";
import { publishAnswered, publishBegun, roomToPublish } from "../connection/under-way.ts";
import type { Question } from "../fan-out-report.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { retentionOf } from "../retention.ts";
import { timeProblem } from "../schedule-quota.ts";
import { shareName } from "../share.ts";
import { idScope } from "./id-scope.ts";
import { changeState, mayRead, readStateChange } from "./publish-state.ts";

type Publish = PublishMessage<Payload>;

/** What a patch counts as while it is under way: it is not kept as bytes, and takes more than its text. */
const PATCH_BYTES = 64 * 1024;

/** Publishes, to be reported on under this name. Rejects with `Refusal`, or with the broker's error. */
type Act = (report: string | undefined) => Promise<Exclude<PublishResult, { readonly status: "conflict" }>>;

export function publish(node: TidewireNode, connection: Connection, message: Publish): Promise<void> | undefined {
	const before = refusedBefore(node, connection, message);
	if (before !== undefined) {
		throw before;
	}
	const failed = (cause: unknown): never => {
		rememberRefusal(node, connection, message, cause);
		throw cause;
	};
	try {
		return begin(node, connection, message)?.catch(failed);
	} catch (cause) {
		return failed(cause);
	}
}

function begin(node: TidewireNode, connection: Connection, message: Publish): Promise<void> | undefined {
	if (message.echo === false && message.exclude !== undefined) {
		throw new Refusal("bad_request", "echo: false and exclude cannot be used together");
	}
	refuseScheduled(node, message);
	const found = access(node, connection.caller, "publish", message.channel);
	// Synchronous as long as rule and schema are, so that a burst of publishes becomes one write to each subscriber.
	return found instanceof Promise
		? found.then((later) => carryOut(node, connection, message, later))
		: carryOut(node, connection, message, found);
}

function carryOut(node: TidewireNode, connection: Connection, message: Publish, to: Access): Promise<void> | undefined {
	if (to.route.declaration.state !== undefined) {
		return publishState(node, connection, message, to);
	}
	if (message.patch !== undefined) {
		throw new Refusal("bad_request", `channel "${message.channel}" is no state channel: it takes data, not a patch`);
	}
	if (message.data === undefined) {
		throw new Refusal("bad_request", "publish needs data");
	}
	const checked = checkData(to.route, message.data);
	return checked instanceof Promise
		? checked.then((result) => append(node, connection, message, to, result))
		: append(node, connection, message, to, checked);
}

function publishState(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	to: Access,
): Promise<void> | undefined {
	const change = readStateChange(node, connection, message, to);
	const carryOut = (readable: boolean): Promise<void> | undefined =>
		answer(node, connection, message, (report) =>
			changeState(node, connection, message, to, change, { report, readable }),
		);
	// Asked before, since replies about one channel keep their order.
	const readable = message.if === undefined ? false : mayRead(node, connection, message.channel);
	return readable instanceof Promise ? readable.then(carryOut) : carryOut(readable);
}

/** `at` asks for what nobody can know before its time: where the channel stands then, and who gets it. */
function refuseScheduled(node: TidewireNode, message: Publish): void {
	if (message.at === undefined) {
		return;
	}
	for (const field of ["if", "report"] as const) {
		if (message[field] !== undefined && message[field] !== false) {
			throw new Refusal("bad_request", `at and ${field} cannot be used together`);
		}
	}
	const problem = timeProblem(message.at * 1_000, node.options.nowMs());
	if (problem !== undefined) {
		throw new Refusal("bad_request", `at is ${message.at}, which ${problem}`);
	}
}

/** Why it was refused the first time, where that was final: the broker remembers what was accepted. */
function refusedBefore(node: TidewireNode, { idScope: scope }: Connection, message: Publish): Refusal | undefined {
	if (message.id === undefined || scope === undefined || !node.performed.knows(scope)) {
		return undefined;
	}
	const first = node.performed.find(scope, performedKey(message));
	if (first === undefined || first instanceof Promise || first.error === undefined) {
		return undefined;
	}
	const { code, message: text, ...more } = first.error;
	return new Refusal(code, text, more);
}

function rememberRefusal(node: TidewireNode, connection: Connection, message: Publish, cause: unknown): void {
	const { id } = message;
	const { idScope: scope, caller } = connection;
	if (id === undefined || scope === undefined || !(cause instanceof Refusal)) {
		return;
	}
	// A repeat after `auth` is another's.
	if (cause.wire.retryable === true || cause.wire.code === "unauthenticated") {
		return;
	}
	// A state channel's value is not kept for it.
	const { data: _, ...error } = cause.wire;
	const bytes = JSON.stringify(error).length;
	node.performed.record(scope, shareName(caller), performedKey(message), { reply: { ack: id, error }, bytes });
}

function performedKey({ channel, id }: Publish): string {
	return JSON.stringify(["publish", channel, id]);
}

/** Plain clients: a message without `action` goes to the channel that the route names. */
export function bare(
	node: TidewireNode,
	connection: Connection,
	message: BareMessage<Payload>,
): Promise<void> | undefined {
	const channel = connection.entrance.publish;
	if (channel === undefined) {
		throw new Refusal("bad_request", 'a message needs an "action": this path has no channel to publish to');
	}
	return publish(node, connection, { type: "publish", channel, data: message.data });
}

function append(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	to: Access,
	data: CheckedData,
): Promise<void> | undefined {
	if (!data.ok) {
		throw new Refusal(data.code, data.message, data.issues.length > 0 ? { issues: data.issues } : {});
	}
	const { user } = connection.caller;
	const exclude = message.echo === false ? connection.session : message.exclude;
	const publication: Publication = {
		data: data.bytes,
		encoding: data.encoding,
		...(message.name === undefined ? {} : { name: message.name }),
		...(message.key === undefined ? {} : { key: message.key }),
		...(user === null ? {} : { from: user.id }),
		...(exclude === undefined ? {} : { exclude }),
		...(message.ttl === undefined ? {} : { ttlMs: message.ttl * 1_000 }),
	};
	const options = optionsOf(node, connection, message, to);
	return answer(node, connection, message, async (report) => {
		const reported = report === undefined ? publication : { ...publication, report };
		const result = await publishWithin(node, connection, to.name, reported, options);
		if (result.status === "conflict") {
			if (result.early === true) {
				throw tooEarly();
			}
			const position = formatPosition(result.position);
			throw new Refusal("conflict", `the channel is at ${position}`, { position });
		}
		return result;
	});
}

/**
 * Does it and answers. What it returns is only until this node's first question is known to the broker, and while as much
 * of this connection waits for its answer as may.
 */
function answer(node: TidewireNode, connection: Connection, message: Publish, act: Act): Promise<void> | undefined {
	if (message.report !== true) {
		void acknowledge(node, connection, message, act);
		return roomToPublish(connection);
	}
	const question = node.reports.ask(connection);
	if (question instanceof Promise) {
		return question
			.catch((cause: unknown) => Promise.reject(brokerRefusal(cause)))
			.then((asked) => acceptAndReport(node, connection, message, act, asked));
	}
	return acceptAndReport(node, connection, message, act, question);
}

function acceptAndReport(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	act: Act,
	question: Question | undefined,
): Promise<void> | undefined {
	if (question === undefined) {
		throw new Refusal("limit_reached", "too many reports are waited for", { retryable: true });
	}
	void acknowledgeAndReport(node, connection, message, act, question);
	return roomToPublish(connection);
}

function optionsOf(node: TidewireNode, connection: Connection, message: Publish, to: Access): PublishOptions {
	const retention = retentionOf(to.route);
	const scope = idScope(node, connection, message.id);
	const afterKey = readAfter(connection, message);
	const ifPosition = message.if === undefined ? undefined : parsePosition(message.if);
	return {
		retention,
		...(scope === undefined
			? {}
			: { idempotencyKey: JSON.stringify([scope, message.id]), idempotencyMs: node.options.windowMs }),
		...(afterKey === undefined ? {} : { afterKey }),
		...(ifPosition === undefined ? {} : { ifPosition }),
		...(message.at === undefined ? {} : { atMs: message.at * 1_000 }),
	};
}

/** The key of the publish that this one comes after. Throws `Refusal` where nobody could have published that. */
export function readAfter({ idScope: scope }: Connection, { after }: Publish): string | undefined {
	if (after === undefined) {
		return undefined;
	}
	if (scope === undefined) {
		throw new Refusal("bad_request", "after names a publish of this session, and there is no session");
	}
	return JSON.stringify([scope, after]);
}

export function tooEarly(): Refusal {
	return new Refusal("conflict", "the publish that this one comes after was not accepted", { retryable: true });
}

/**
 * Answers in the order of the channel's publishes; `told` is called when it has. Never rejects; undefined where it was
 * refused.
 */
async function acknowledge(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	act: Act,
	report?: string,
	told?: () => void,
): Promise<Awaited<ReturnType<Act>> | undefined> {
	const { id, channel } = message;
	const place = id === undefined ? undefined : placeFor(connection, channel);
	const bytes = message.data?.bytes.length ?? PATCH_BYTES;
	publishBegun(connection, bytes);
	const answer = (say: () => void): void => {
		const answered = (): void => {
			say();
			publishAnswered(connection, bytes);
		};
		if (place === undefined) {
			answered();
		} else {
			answerAt(connection, place, answered);
		}
	};
	try {
		const result = await act(report);
		answer(() => {
			if (id !== undefined) {
				connection.reply(
					result.status === "scheduled"
						? { ack: id, scheduled: true }
						: { ack: id, position: formatPosition(result.position) },
				);
				told?.();
			}
		});
		return result;
	} catch (error) {
		const cause = brokerRefusal(error);
		rememberRefusal(node, connection, message, cause);
		answer(() => connection.fail(id, cause));
		return undefined;
	}
}

/** Never rejects. */
async function acknowledgeAndReport(
	node: TidewireNode,
	connection: Connection,
	message: Publish,
	act: Act,
	question: Question,
): Promise<void> {
	const told = Promise.withResolvers<void>();
	const result = await acknowledge(node, connection, message, act, question.report, told.resolve);
	try {
		if (result !== undefined && message.id !== undefined) {
			const [counts] = await Promise.all([question.conclude(result), told.promise]);
			connection.reply({ report: { of: message.id, ...counts } });
		}
	} finally {
		question.drop();
	}
}

/** Publishes; what is for later only within what one client may have waiting. */
async function publishWithin(
	node: TidewireNode,
	connection: Connection,
	channel: string,
	publication: Publication,
	options: PublishOptions,
): Promise<PublishResult> {
	const { atMs } = options;
	if (atMs === undefined) {
		return node.broker.publish(channel, publication, options);
	}
	const { user } = connection.caller;
	const by = { name: user === null ? `s:${connection.session}` : `u:${user.id}`, isNobody: user === null };
	const { length } = publication.data;
	const { scheduleQuota } = node;
	if (!scheduleQuota.take(by, atMs, length)) {
		const before = await doneBefore(node, channel, publication, options);
		if (before !== undefined) {
			return before;
		}
		throw new Refusal("limit_reached", "as many publishes, or as much data, wait for their time as a client may have");
	}
	const result = await node.broker.publish(channel, publication, options).catch((cause: unknown) => {
		scheduleQuota.giveBack(by, atMs, length);
		throw cause;
	});
	if (result.status !== "scheduled" || result.duplicate) {
		scheduleQuota.giveBack(by, atMs, length);
	}
	return result;
}

/** No log is ever here: what is published for it is refused, or recognised as done before. */
const NOWHERE = { epoch: "", offset: 0 };

/** The first outcome of a repeat: there is room for that, since it takes none. */
async function doneBefore(
	node: TidewireNode,
	channel: string,
	publication: Publication,
	{ retention, idempotencyKey }: PublishOptions,
): Promise<PublishResult | undefined> {
	if (idempotencyKey === undefined) {
		return undefined;
	}
	const result = await node.broker.publish(channel, publication, { retention, idempotencyKey, ifPosition: NOWHERE });
	return result.status === "conflict" ? undefined : result;
}

/** What a peer is told of a broker that refused. */
export function brokerRefusal(cause: unknown): unknown {
	if (!(cause instanceof BrokerError)) {
		return cause;
	}
	return cause.code === "invalid"
		? new Refusal("bad_request", cause.message)
		: new Refusal("unavailable", "the broker is not available; whether this was done is not known");
}
