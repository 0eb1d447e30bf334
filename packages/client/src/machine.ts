/**
 * The connection as a pure machine: (connection, event, now) → connection and effects. It knows when to open a socket,
 * what to say first, when a silent server is dead, how long to wait, and when to give up. It knows no requests, no
 * channels, no sockets and no clock; `connect.ts` carries its effects out.
 *
 * Invariants (test/machine.test.ts): at most one socket is open and not dropped; every phase but `closed` has
 * a deadline, so none is for ever; after `closed` nothing happens. Events of a socket or a token request that is
 * no longer ours are ignored by their serial number.
 */
import { reconnectsAfter } from "@tidewire/protocol";
import { backoffMs, hintMs } from "./backoff.ts";
import { TidewireError, type TidewireErrorCode } from "./error.ts";

/** After a ping. */
const PONG_TIMEOUT_MS = 5_000;

/** A connection that was open this long was a good one: the next loss starts the backoff anew. */
const STABLE_MS = 10_000;

/** What never changes during a connection's life. */
export interface Terms {
	readonly maxBackoffMs: number;
	/** For the token function, for the socket to open, and for the server to greet: each. */
	readonly connectTimeoutMs: number;
}

/** The session as the server last named it. `resume` is the newest token held. */
export interface Session {
	readonly id: string;
	readonly resume: string;
	readonly windowMs: number;
}

export type Phase =
	/** The application's token function is at work. */
	| { readonly name: "authorizing"; readonly deadline: number }
	| { readonly name: "connecting"; readonly token: string | undefined; readonly deadline: number }
	/** The socket is open. `hello` has come or not; `step` is the answer that we wait for besides. */
	| {
			readonly name: "greeting";
			readonly step: "auth" | "resume" | "hello";
			readonly hello?: Greeting;
			readonly deadline: number;
	  }
	| {
			readonly name: "connected";
			readonly openedAt: number;
			readonly heardAt: number;
			readonly heartbeatMs: number;
			/** A ping is out since then. */
			readonly pingedAt?: number | undefined;
	  }
	| { readonly name: "waiting"; readonly deadline: number }
	/** The system says that there is no network. It may be wrong (a server on this machine), so this ends too. */
	| { readonly name: "offline"; readonly deadline: number }
	| { readonly name: "closed" };

type PhaseOf<N extends Phase["name"]> = Extract<Phase, { name: N }>;

export interface Connection<P extends Phase = Phase> {
	readonly phase: P;
	/** The number of the present try; its token request and its socket carry it. */
	readonly serial: number;
	/** Losses since the last good connection. */
	readonly attempt: number;
	readonly session?: Session | undefined;
	/** The server asked us to move, or to come back, then and not before; 0 when it did not. */
	readonly notBefore: number;
	/** Why the last connection was lost, or could not be made. */
	readonly why?: TidewireError | undefined;
}

/** What a `hello` says, in our units. */
export interface Greeting {
	readonly session: string;
	readonly resume: string;
	readonly heartbeatMs: number;
	readonly windowMs: number;
}

export type ConnectionEvent =
	/** `session`: one of an earlier client, to go on with. */
	| {
			readonly type: "token";
			readonly serial: number;
			readonly token: string | undefined;
			readonly session?: Session | undefined;
	  }
	| { readonly type: "tokenFailed"; readonly serial: number; readonly error: TidewireError }
	| { readonly type: "opened"; readonly serial: number }
	| { readonly type: "lost"; readonly serial: number; readonly code: number; readonly reason: string }
	/** Anything at all came from the server. */
	| { readonly type: "heard"; readonly serial: number }
	| { readonly type: "hello"; readonly serial: number; readonly hello: Greeting }
	| { readonly type: "authorized"; readonly serial: number }
	| {
			readonly type: "resumed";
			readonly serial: number;
			readonly resumed: boolean;
			readonly session?: string | undefined;
			readonly resume?: string | undefined;
	  }
	/** The server refused `auth` or `resume`, or broke the rules. */
	| { readonly type: "refused"; readonly serial: number; readonly error: TidewireError }
	| { readonly type: "fault"; readonly serial: number; readonly error: TidewireError }
	/** `{"reconnect":…}`, in seconds. */
	| { readonly type: "move"; readonly serial: number; readonly after: unknown }
	| { readonly type: "online" }
	| { readonly type: "offline" }
	| { readonly type: "wake" }
	/** The deadline may have come. */
	| { readonly type: "tick" }
	| { readonly type: "close" };

type EventOf<T extends ConnectionEvent["type"]> = Extract<ConnectionEvent, { type: T }>;

export type Effect =
	| { readonly type: "askToken"; readonly serial: number }
	| { readonly type: "open"; readonly serial: number }
	| { readonly type: "auth"; readonly token: string }
	| { readonly type: "resume"; readonly token: string }
	| { readonly type: "ping" }
	/** Close the socket and hear no more of it. */
	| { readonly type: "drop" }
	/** The connection is there for requests. `resumed`: it goes on with the session before it. */
	| { readonly type: "ready"; readonly resumed: boolean; readonly session: Session }
	| { readonly type: "report"; readonly error: TidewireError };

export interface Step {
	readonly connection: Connection;
	readonly effects: readonly Effect[];
}

/** The moment of an event: the clock and one random number below 1, under the terms. */
export interface Moment extends Terms {
	readonly now: number;
	readonly random: number;
}

/** The first try. */
export function start(moment: Moment): Step {
	const phase = { name: "closed" } as const;
	const blank = { phase, serial: 0, attempt: 0, notBefore: 0 };
	return begin(blank, undefined, moment);
}

type Rule<N extends Phase["name"], T extends ConnectionEvent["type"]> = (
	connection: Connection<PhaseOf<N>>,
	event: EventOf<T>,
	moment: Moment,
) => Step | undefined;

/** Rows are phases, columns events. What is not in the table, or yields undefined, changes nothing. */
type Table = { readonly [N in Phase["name"]]: { readonly [T in ConnectionEvent["type"]]?: Rule<N, T> } };

const TABLE: Table = {
	authorizing: {
		token: (connection, { token, session }, moment) =>
			next({ session, ...connection }, { name: "connecting", token, deadline: patience(moment) }, [
				{ type: "open", serial: connection.serial },
			]),
		tokenFailed: fault,
		offline: suspend,
		tick: late,
		close: finish,
	},
	connecting: { opened: greet, lost: judge, offline: suspend, tick: late, close: finish },
	greeting: {
		hello: (connection, { hello }, moment) =>
			// A second hello in one greeting would let a server hold us here for ever.
			connection.phase.hello ? undefined : advance(connection, { ...connection.phase, hello }, moment),
		authorized: (connection, _event, moment) =>
			connection.phase.step === "auth"
				? advance(connection, { ...connection.phase, step: "hello" }, moment)
				: undefined,
		resumed: (connection, event, moment) =>
			connection.phase.step === "resume" ? ready(connection, moment, event) : undefined,
		refused: refuse,
		fault,
		lost: judge,
		offline: suspend,
		tick: late,
		close: finish,
	},
	connected: {
		heard: (connection, _event, { now }) =>
			next(connection, { ...connection.phase, heardAt: now, pingedAt: undefined }),
		move: (connection, { after }, { now }) =>
			connection.notBefore === 0
				? { connection: { ...connection, notBefore: now + hintMs(after) }, effects: [] }
				: undefined,
		fault,
		lost: judge,
		// The system may be wrong about the network, and it may be right: ask the server.
		offline: ping,
		online: ping,
		wake: ping,
		tick: beat,
		close: finish,
	},
	waiting: { online: retry, wake: retry, tick: begin, offline: suspend, close: finish },
	offline: { online: retry, tick: begin, close: finish },
	closed: {},
};

/** One step of the machine. */
export function step(connection: Connection, event: ConnectionEvent, moment: Moment): Step {
	if ("serial" in event && event.serial !== connection.serial) {
		return { connection, effects: [] };
	}
	if (event.type === "tick" && moment.now < deadlineOf(connection)) {
		return { connection, effects: [] };
	}
	// The table's type has made sure that the rule fits both; TypeScript cannot follow the two together.
	const row = TABLE[connection.phase.name] as Record<string, Rule<never, never> | undefined>;
	return row[event.type]?.(connection as never, event as never, moment) ?? { connection, effects: [] };
}

/** When the machine next wants a `tick`. */
export function deadlineOf({ phase, notBefore }: Connection): number {
	if (phase.name !== "connected") {
		return phase.name === "closed" ? Number.POSITIVE_INFINITY : phase.deadline;
	}
	const { heardAt, heartbeatMs, pingedAt } = phase;
	const quiet = pingedAt === undefined ? heardAt + heartbeatMs : pingedAt + PONG_TIMEOUT_MS;
	return notBefore === 0 ? quiet : Math.min(quiet, notBefore);
}

/** The step into a phase, which may be the same one. */
function next(connection: Connection, phase: Phase, effects: readonly Effect[] = []): Step {
	return { connection: { ...connection, phase }, effects };
}

function patience({ now, connectTimeoutMs }: Moment): number {
	return now + connectTimeoutMs;
}

/** A new try: first the credential, so that a fresh one is asked for each time. */
function begin(connection: Connection, _event: unknown, moment: Moment, effects: readonly Effect[] = []): Step {
	const serial = connection.serial + 1;
	return next({ ...connection, serial }, { name: "authorizing", deadline: patience(moment) }, [
		...effects,
		{ type: "askToken", serial },
	]);
}

/** News of the network are a reason to try at once, unless the server asked us to stay away. */
function retry(connection: Connection, event: unknown, moment: Moment): Step {
	return moment.now < connection.notBefore
		? next(connection, { name: "waiting", deadline: connection.notBefore })
		: begin(connection, event, moment);
}

/** The socket is open: a credential is the first thing that is said in band. */
function greet(connection: Connection<PhaseOf<"connecting">>, _event: unknown, moment: Moment): Step {
	const { token } = connection.phase;
	const step = token === undefined ? "hello" : "auth";
	return next(
		connection,
		{ name: "greeting", step, deadline: patience(moment) },
		token === undefined ? [] : [{ type: "auth", token }],
	);
}

/** The server greets before or after `auth`, as it likes; when both are there, the session before is resumed. */
function advance(connection: Connection, phase: PhaseOf<"greeting">, moment: Moment): Step | undefined {
	if (phase.step !== "hello" || phase.hello === undefined) {
		return next(connection, phase);
	}
	return connection.session === undefined
		? ready({ ...connection, phase }, moment, { resumed: false })
		: next(connection, { ...phase, step: "resume" }, [{ type: "resume", token: connection.session.resume }]);
}

/** Greeted, authorized, and resumed where there was something to resume. */
function ready(
	connection: Connection<PhaseOf<"greeting">>,
	{ now }: Moment,
	{ resumed, session, resume }: Omit<EventOf<"resumed">, "type" | "serial">,
): Step | undefined {
	const { hello } = connection.phase;
	if (hello === undefined) {
		return undefined;
	}
	const { windowMs, heartbeatMs } = hello;
	const named = { id: session ?? hello.session, resume: resume ?? hello.resume, windowMs };
	return next(
		{ ...connection, session: named, notBefore: 0, why: undefined },
		{ name: "connected", openedAt: now, heardAt: now, heartbeatMs },
		[{ type: "ready", resumed, session: named }],
	);
}

function ping(connection: Connection<PhaseOf<"connected">>, _event: unknown, { now }: Moment): Step | undefined {
	return connection.phase.pingedAt === undefined
		? next(connection, { ...connection.phase, pingedAt: now }, [{ type: "ping" }])
		: undefined;
}

/** The open connection's deadline: silence, an unanswered ping, or the time to move. */
function beat(connection: Connection<PhaseOf<"connected">>, event: unknown, moment: Moment): Step | undefined {
	const { notBefore, phase } = connection;
	if (notBefore !== 0 && notBefore <= moment.now) {
		// Once is at once; a server that sends everybody away again and again meets the backoff.
		const dropped = drop(connection);
		return isStable(connection, moment)
			? begin({ ...connection, attempt: 0 }, event, moment, dropped)
			: wait(connection, moment, dropped);
	}
	return phase.pingedAt === undefined ? ping(connection, event, moment) : late(connection, event, moment);
}

/** Token, socket, greeting or pong did not come in time. */
function late(connection: Connection, _event: unknown, moment: Moment): Step {
	const why = new TidewireError("unavailable", `no answer in time (${connection.phase.name})`);
	return wait({ ...connection, why }, moment, drop(connection));
}

/** The token function failed, or the server broke the rules: another try may go better. */
function fault(connection: Connection, { error }: { readonly error: TidewireError }, moment: Moment): Step {
	return wait({ ...connection, why: error }, moment, [...drop(connection), { type: "report", error }]);
}

/** `auth` or `resume` was answered with an error. */
function refuse(
	connection: Connection<PhaseOf<"greeting">>,
	{ error }: EventOf<"refused">,
	moment: Moment,
): Step | undefined {
	const { phase } = connection;
	const dropped = drop(connection);
	if (error.retryable) {
		return wait({ ...connection, why: error }, moment, dropped, error.retryAfter);
	}
	// A session that is not ours to resume: the connection has a new one.
	return phase.step === "resume" ? ready(connection, moment, { resumed: false }) : end(connection, error, dropped);
}

/** The socket closed. The table of close codes alone decides whether we come back. */
function judge(connection: Connection, { code, reason }: EventOf<"lost">, moment: Moment): Step {
	// Another connection has resumed our session (a duplicated tab): it is theirs now, and we start a new one.
	const replaced = code === REPLACED;
	const back = reconnectsAfter(code);
	const text = `close code ${code} ${reason}`.trim();
	const why = new TidewireError(REFUSALS[code] ?? (back ? "unavailable" : "closed"), text, { closeCode: code });
	if (!back) {
		return end(connection, why, []);
	}
	return wait({ ...connection, why, session: replaced ? undefined : connection.session }, moment, []);
}

/** Close codes that mean more than whether we come back; the protocol's table (`CLOSE_REASONS`) has them all. */
const REPLACED = 4004;
const REFUSALS: Readonly<Record<number, TidewireErrorCode>> = {
	4001: "unauthenticated",
	4003: "forbidden",
	4005: "forbidden",
};

function suspend(connection: Connection, _event: unknown, { now, maxBackoffMs }: Moment): Step {
	const deadline = Math.max(now + maxBackoffMs, connection.notBefore);
	return next(connection, { name: "offline", deadline }, drop(connection));
}

/** The next try, after the backoff and after what the server asked for. */
function wait(connection: Connection, moment: Moment, effects: readonly Effect[], hint?: number): Step {
	const { now, random, maxBackoffMs } = moment;
	const attempt = isStable(connection, moment) ? 0 : connection.attempt;
	const notBefore = Math.max(connection.notBefore, now + hintMs(hint));
	const deadline = Math.max(now + backoffMs(maxBackoffMs, attempt, random), notBefore);
	return next({ ...connection, attempt: attempt + 1, notBefore }, { name: "waiting", deadline }, effects);
}

function finish(connection: Connection): Step {
	return end(connection, undefined, drop(connection));
}

function end(connection: Connection, why: TidewireError | undefined, effects: readonly Effect[]): Step {
	return next({ ...connection, why, session: undefined }, { name: "closed" }, [
		...effects,
		...(why ? [{ type: "report", error: why } as const] : []),
	]);
}

function drop({ phase }: Connection): readonly Effect[] {
	const held = phase.name === "connecting" || phase.name === "greeting" || phase.name === "connected";
	return held ? [{ type: "drop" }] : [];
}

function isStable({ phase }: Connection, { now }: Moment): boolean {
	return phase.name === "connected" && now - phase.openedAt >= STABLE_MS;
}
