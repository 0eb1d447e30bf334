/**
 * A client that we did not write, as the tests drive it: a program that takes commands and says what its WebSocket
 * library reports. What each library is told and says is the same; how it is told is in `clients/`.
 *
 * A command is a line of fields with tabs between them: the verb, a name for the connection, arguments. An event is a
 * JSON object with `event` and `connection`.
 */
import { onTestFinished } from "vitest";

/** What a program says of one of its connections. */
export interface Heard {
	readonly connection: string;
	/** `closed` comes once, last, after `open`; `refused` instead of `open`. */
	readonly event: "open" | "refused" | "text" | "binary" | "pong" | "closed";
	/** `open`: the subprotocol that the server chose, or empty. */
	readonly protocol?: string;
	/** `refused`: the HTTP status, or null where the library does not tell. */
	readonly status?: number | null;
	/** `text`, `pong`: as it is; `binary`: base64. */
	readonly data?: string;
	/** `closed` */
	readonly code?: number;
	readonly reason?: string;
}

/** A running client program. */
export interface Program {
	tell(line: string): void;
	/** Called for each event; and with undefined when the program has ended, with what it last said as the reason. */
	listen(listener: (heard: Heard | undefined, reason: string) => void): void;
	stop(): Promise<void>;
}

/** What a library's interface lets its user do. All of them must do everything else. */
export interface Abilities {
	/** Sends one message in several frames. */
	readonly fragments: boolean;
	readonly ping: boolean;
	/** Tells the status of a refused upgrade. */
	readonly refusal: boolean;
	/** Lives in a page, which has an origin. */
	readonly page: boolean;
}

export class Client {
	readonly #program: Program;
	readonly #connections = new Map<string, (heard: Heard | undefined, reason: string) => void>();
	#opened = 0;

	constructor(program: Program) {
		this.#program = program;
		program.listen((heard, reason) => {
			if (heard !== undefined) {
				this.#connections.get(heard.connection)?.(heard, reason);
				return;
			}
			for (const listener of this.#connections.values()) {
				listener(undefined, reason);
			}
		});
	}

	/** Opens a connection; the caller asks it whether it was accepted. */
	connect(url: string, protocol = ""): ClientConnection {
		const name = String(++this.#opened);
		const connection = new ClientConnection((verb, ...rest) => this.#program.tell([verb, name, ...rest].join("\t")));
		this.#connections.set(name, (heard, reason) => connection.hear(heard, reason));
		connection.tell("open", url, protocol);
		onTestFinished(() => void this.#connections.delete(name));
		return connection;
	}

	/** Opens a connection that must be accepted. */
	async open(url: string, protocol = ""): Promise<ClientConnection> {
		const connection = this.connect(url, protocol);
		await connection.next("open");
		return connection;
	}

	stop(): Promise<void> {
		return this.#program.stop();
	}
}

export class ClientConnection {
	readonly tell: (verb: string, ...rest: readonly string[]) => void;
	readonly #heard: Heard[] = [];
	#waiting: (() => void) | undefined;
	#ended: string | undefined;

	constructor(tell: (verb: string, ...rest: readonly string[]) => void) {
		this.tell = tell;
	}

	hear(heard: Heard | undefined, reason: string): void {
		if (heard === undefined) {
			this.#ended = reason;
		} else {
			this.#heard.push(heard);
		}
		this.#waiting?.();
	}

	/** The next event, which must be of this kind. */
	async next(event: Heard["event"]): Promise<Heard> {
		while (this.#heard.length === 0) {
			if (this.#ended !== undefined) {
				throw new Error(`the client program ended while "${event}" was awaited: ${this.#ended}`);
			}
			await new Promise<void>((resolve) => {
				this.#waiting = resolve;
			});
		}
		const heard = this.#heard.shift()!;
		if (heard.event !== event) {
			throw new Error(`"${event}" was awaited, but the client says ${JSON.stringify(heard).slice(0, 500)}`);
		}
		return heard;
	}

	/** The next event, which must be a text message. */
	async text(): Promise<string> {
		return (await this.next("text")).data ?? "";
	}

	send(text: string): void {
		this.tell("text", text);
	}
}
