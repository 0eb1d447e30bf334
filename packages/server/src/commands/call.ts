/**
 * An action of the application: its permission, its input's schema, its handler, and its reply, which may be a stream
 * of items before the ack. With an id it is performed once: on all nodes together, unless the contract says `once: false`.
 */
import { type ActionDeclaration, type Schema, validate } from "@tidewire/contract";
import type { Ack, CallMessage, Failure, MessageId } from "@tidewire/protocol";
import { ask } from "../auth/permission.ts";
import { jsonText } from "../channel-data.ts";
import type { CallAtWork, Connection } from "../connection/connection.ts";
import type { Done } from "../connection/performed.ts";
import type { TidewireNode } from "../node.ts";
import { Refusal } from "../refusal.ts";
import { shareName } from "../share.ts";
import { idScope } from "./id-scope.ts";

type Reply = Ack | Failure;

/**
 * Holds up what follows until the handler has begun, not until it is done; and while the replies of calls before are
 * not written: what came in one chunk may ask for a thousand times its bytes.
 */
export async function call(node: TidewireNode, connection: Connection, message: CallMessage): Promise<void> {
	const { action, id } = message;
	const { actions, limits } = node.options;
	while (connection.congested) {
		await connection.writable();
		if (connection.closed) {
			return;
		}
	}
	if (!Object.hasOwn(actions, action)) {
		throw new Refusal("not_found", `there is no action "${action}"`);
	}
	await permit(node, connection, action);
	const declaration = Object.hasOwn(node.contract.actions, action) ? node.contract.actions[action] : undefined;
	const input = await readInput(declaration, message.input);
	if (declaration?.stream !== undefined && id === undefined) {
		throw new Refusal("bad_request", `action "${action}" streams its reply, so it needs an id`);
	}
	const scope = idScope(node, connection, id);
	const key = JSON.stringify([action, id]);
	const first = scope === undefined ? undefined : node.performed.find(scope, key);
	if (first !== undefined && !(first instanceof Promise)) {
		answer(connection, id, first);
		return;
	}
	// A repeat of a call at work waits as that does, and has a reply of its own to come: it counts like any other.
	if ((connection.calls?.size ?? 0) >= limits.maxCalls) {
		throw new Refusal("limit_reached", `a connection may have ${limits.maxCalls} calls at work`, { retryable: true });
	}
	const cancel = new AbortController();
	if (connection.closed) {
		// Its end has aborted those that were at work, and this one was not yet.
		cancel.abort();
	}
	const handle = (): Promise<Done> => perform(node, connection, message, declaration, input, cancel.signal);
	const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
	const isClaimed = scope !== undefined && connection.encoding.codec.enveloped && declaration?.once !== false;
	if (isClaimed && !node.sessions.holds(connection)) {
		throw tooMany(node, "as many sessions have calls as are remembered within the window");
	}
	const run = (): Promise<Done> =>
		isClaimed && id !== undefined ? node.claims.perform({ scope, action, id, run: handle, begun: begin }) : handle();
	const reply =
		first ??
		(scope === undefined
			? run().then(({ reply }) => reply)
			: node.performed.begin(scope, shareName(connection.caller), key, run));
	if (reply === undefined) {
		throw tooMany(node, "more calls, or longer replies, than are remembered within the window");
	}
	const atWork: CallAtWork = { id, cancel };
	connection.calls ??= new Set();
	connection.calls.add(atWork);
	void conclude(connection, atWork, reply);
	if (isClaimed && first === undefined) {
		await begun;
	}
}

function tooMany(node: TidewireNode, text: string): Refusal {
	return new Refusal("rate_limited", text, { retryAfter: node.options.windowMs / 1_000 });
}

/** A call is at work until the client takes its reply: those of calls that are done together wait, and are bounded. */
async function conclude(connection: Connection, atWork: CallAtWork, reply: Promise<Reply>): Promise<void> {
	const message = await reply;
	while (connection.congested) {
		await connection.writable();
	}
	connection.calls?.delete(atWork);
	answer(connection, atWork.id, message);
}

function answer(connection: Connection, id: MessageId | undefined, reply: Reply): void {
	if (id !== undefined) {
		connection.reply(reply);
	} else if (reply.error !== undefined) {
		connection.reply({ error: reply.error });
	}
}

async function permit(node: TidewireNode, connection: Connection, action: string): Promise<void> {
	const { user, full } = connection.caller;
	const rules = node.may.call;
	const rule = rules !== undefined && Object.hasOwn(rules, action) ? rules[action] : user !== null;
	const failed = (cause: unknown): void =>
		node.options.log.error("a permission's rule threw; refused", { cause, action });
	if (!full && !(await ask(rule, { user, action }, failed))) {
		throw new Refusal("forbidden", `action "${action}" is not allowed`);
	}
}

/** What the handler gets: the schema's output; nothing where the contract declares no input. */
async function readInput(declaration: ActionDeclaration | undefined, input: unknown): Promise<unknown> {
	if (declaration === undefined) {
		return input;
	}
	const { input: schema, maxMessageBytes } = declaration;
	if (maxMessageBytes !== undefined && Buffer.byteLength(JSON.stringify(input) ?? "") > maxMessageBytes) {
		throw new Refusal("too_large", `the input has more than the ${maxMessageBytes} bytes of this action`);
	}
	if (schema === undefined) {
		return undefined;
	}
	const checked = await validate(schema, input);
	if (!checked.ok) {
		throw new Refusal("invalid_data", "the input does not fit the action's schema", { issues: checked.issues });
	}
	return checked.value;
}

/** Runs the handler and makes the reply of what becomes of it. Never rejects. */
async function perform(
	node: TidewireNode,
	connection: Connection,
	{ action, id }: CallMessage,
	declaration: ActionDeclaration | undefined,
	input: unknown,
	signal: AbortSignal,
): Promise<Done> {
	const ack = id ?? 0;
	try {
		const result: unknown = await node.options.actions[action]!({
			user: connection.caller.user,
			input: input as undefined,
			params: connection.entrance.params,
			session: connection.session,
			signal,
			server: node.publisher,
		});
		const output =
			isAsyncIterable(result) && id !== undefined
				? await stream(connection, id, declaration?.stream, result, signal)
				: result;
		const { value: data, bytes } = await checkOutput(action, declaration?.output, output);
		return { reply: data === undefined ? { ack } : { ack, data }, bytes };
	} catch (cause) {
		if (cause instanceof Refusal) {
			return { reply: { ack, error: cause.wire }, bytes: JSON.stringify(cause.wire).length };
		}
		node.options.log.error("an action's handler failed", { cause, action });
		return { reply: { ack, error: new Refusal("internal", `action "${action}" failed`).wire }, bytes: 0 };
	}
}

/** Sends the items one by one, at the connection's pace. What the generator returns is the ack's data. */
async function stream(
	connection: Connection,
	id: MessageId,
	schema: Schema | undefined,
	items: AsyncIterable<unknown>,
	signal: AbortSignal,
): Promise<unknown> {
	const iterator = items[Symbol.asyncIterator]();
	for (let seq = 0; ; seq++) {
		const next = await nextUnlessAborted(iterator, signal);
		if (next === undefined) {
			// A generator that waits for something else returns only when that has come; nobody waits for it here.
			void iterator.return?.().catch(() => {});
			return undefined;
		}
		if (next.done === true) {
			return next.value;
		}
		const data = schema === undefined ? next.value : (await checkOutput("stream", schema, next.value)).value;
		while (connection.congested) {
			await connection.writable();
		}
		connection.reply({ reply: id, seq, data });
	}
}

/** The next item, or undefined as soon as the signal is aborted. */
function nextUnlessAborted(
	iterator: AsyncIterator<unknown>,
	signal: AbortSignal,
): Promise<IteratorResult<unknown> | undefined> {
	return new Promise((resolve, reject) => {
		if (signal.aborted) {
			resolve(undefined);
			return;
		}
		const stop = (): void => resolve(undefined);
		signal.addEventListener("abort", stop, { once: true });
		iterator
			.next()
			.then(resolve, reject)
			.finally(() => signal.removeEventListener("abort", stop));
	});
}

/** What is sent, and how long it is as JSON. An output that breaks its own schema is the server's mistake. */
async function checkOutput(
	action: string,
	schema: Schema | undefined,
	output: unknown,
): Promise<{ readonly value: unknown; readonly bytes: number }> {
	const checked = schema === undefined ? ({ ok: true, value: output } as const) : await validate(schema, output);
	if (!checked.ok) {
		throw new TypeError(`the output of "${action}" does not fit its schema: ${JSON.stringify(checked.issues)}`);
	}
	// What has no JSON cannot be sent: better to know before the reply is recorded.
	return { value: checked.value, bytes: checked.value === undefined ? 0 : jsonText(checked.value).length };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
	return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
