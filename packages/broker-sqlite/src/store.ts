/**
 * What the nodes of one process share: one file, its logs, keys, records and schedule, and the order in which all of it
 * happens. Every change is a job of the committer; every look waits until nothing is in sight that could still be lost.
 */
import {
	BrokerError,
	type ChannelsOptions,
	DEFAULT_IDEMPOTENCY_MS,
	type Entry,
	type Page,
	type Position,
	type Publication,
	type PublishOptions,
	type PublishResult,
	type ReadOptions,
	type Snapshot,
} from "@tidewire/broker";
import { Channels } from "./channels.ts";
import { Committer } from "./committer.ts";
import type { Log, Subscription } from "./log.ts";
import { Logs } from "./logs.ts";
import { type OpenFile, openFile } from "./open.ts";
import type { StoreOptions } from "./options.ts";
import { Outcomes } from "./outcomes.ts";
import { StoredRecords } from "./records.ts";
import { Room } from "./room.ts";
import { Schedule } from "./schedule.ts";
import { Sweep } from "./sweep.ts";
import { Telling } from "./telling.ts";
import type { Sync } from "./wal.ts";

/** The machine below, so that tests can have another. */
export interface Machine {
	readonly boot: string;
	readonly sync: Sync;
}

/** What a cluster holds at the moment, for metrics. */
export interface SqliteStats {
	/** What the file's content takes, against `maxBytes`. */
	readonly usedBytes: number;
	/** The file itself, with what is free in it. */
	readonly fileBytes: number;
	readonly idempotencyKeys: number;
	readonly records: number;
	/** Publishes that wait for their time. */
	readonly scheduled: number;
	/** Logs that lost entries or their epoch to `maxBytes`, since the file was opened. */
	readonly evictedLogs: number;
	/** Idempotency keys that were forgotten before their time, since then. */
	readonly forgottenKeys: number;
	readonly commits: number;
	readonly checkpoints: number;
}

/** The file may grow beyond `maxBytes` by this much before publishes are refused: room is made a part at a time. */
const FILE_SLACK = 1.25;

/** The data without the large buffer that it may be a small view of (a socket's chunk, a pool). */
function compact(data: Uint8Array): Uint8Array {
	return data.buffer.byteLength > 2 * data.byteLength + 64 ? new Uint8Array(data) : data;
}

/** The length keeps ("a", "bc") and ("ab", "c") apart. */
function outcomeKeyOf(channel: string, key: string): string {
	return `${channel.length}:${channel}${key}`;
}

export class Store {
	readonly #options: StoreOptions;
	readonly #file: OpenFile;
	readonly #committer: Committer;
	readonly #logs: Logs;
	readonly #channels: Channels;
	readonly #outcomes: Outcomes;
	readonly #schedule: Schedule;
	readonly #room: Room;
	readonly #sweep: Sweep;
	readonly #telling = new Telling();
	readonly #stopSweeping: () => void;
	readonly records: StoredRecords;
	#closing: Promise<void> | undefined;

	constructor(options: StoreOptions, machine: Machine) {
		this.#options = options;
		const { now } = options;
		this.#file = openFile({ ...options, ...machine, maxFileBytes: options.maxBytes * FILE_SLACK });
		const { database, wal, path } = this.#file;
		this.#logs = new Logs({
			...this.#file,
			dropped: (log, next) => {
				if (next !== undefined) {
					this.#telling.addReset(log.channel, next.subscriptions, this.#logs.position(next));
				}
			},
		});
		this.#channels = new Channels(database, this.#logs);
		this.#outcomes = new Outcomes(database, options.maxIdempotencyKeys);
		this.records = new StoredRecords({
			database,
			now,
			maxRecords: options.maxRecords,
			maxBytes: options.maxRecordBytes,
		});
		this.#schedule = new Schedule({
			database,
			now,
			after: options.after,
			maxScheduled: options.maxScheduled,
			maxBytes: options.maxScheduledBytes,
			due: () => this.#appendDue(),
		});
		this.#room = new Room({ database, logs: this.#logs, maxBytes: options.maxBytes });
		this.#sweep = new Sweep({
			database,
			logs: this.#logs,
			outcomes: this.#outcomes,
			records: this.records,
			room: this.#room,
		});
		this.#committer = new Committer({
			path,
			database,
			wal,
			waitsForDisk: options.synchronous === "full",
			commitDelayMs: options.commitDelayMs,
			maxWaitingBytes: options.maxWaitingBytes,
			prepare: () => this.#makeRoom(),
			finish: () => {
				this.#outcomes.flush(now());
				this.#logs.flush();
			},
			settle: (kept) => this.#settle(kept),
		});
		this.#schedule.arm();
		this.#stopSweeping = options.everySweep(() => this.#sweepOnce());
	}

	publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult> {
		const owned = { ...publication, data: compact(publication.data) };
		const carried = owned.data.byteLength + (options.snapshot?.byteLength ?? 0);
		return this.#change(() => this.#publish(channel, owned, options), carried);
	}

	read(channel: string, options: ReadOptions): Promise<Page> {
		return this.#look((nowMs) => this.#logs.read(this.#logs.open(channel, nowMs), options, nowMs));
	}

	snapshot(channel: string): Promise<Snapshot> {
		return this.#look((nowMs) => this.#logs.snapshot(this.#logs.open(channel, nowMs)));
	}

	channels(options: ChannelsOptions): Promise<readonly string[]> {
		return this.#look((nowMs) => this.#channels.list(options, nowMs));
	}

	/** Adds a subscription, where it is not there yet and still wanted, and gives the head. */
	attach(channel: string, subscription: Subscription): Promise<Position> {
		return this.#look((nowMs) => {
			const log = this.#logs.open(channel, nowMs);
			if (subscription.active && !log.subscriptions.includes(subscription)) {
				this.#logs.setSubscriptions(log, [...log.subscriptions, subscription]);
			}
			return this.#logs.position(log);
		});
	}

	detach(channel: string, subscription: Subscription): void {
		const log = this.#logs.peek(channel);
		if (log?.subscriptions.includes(subscription) === true) {
			const others = log.subscriptions.filter((other) => other !== subscription);
			this.#logs.setSubscriptions(log, others);
		}
	}

	/** Looks into the records. */
	look<Result>(look: (records: StoredRecords) => Result): Promise<Result> {
		return this.#look(() => look(this.records));
	}

	/** Changes records; `carried` bytes wait for it. */
	change<Result>(change: (records: StoredRecords) => Result, carried = 0): Promise<Result> {
		return this.#change(() => change(this.records), carried);
	}

	forget(channel: string): Promise<void> {
		return this.#change(() => {
			const nowMs = this.#options.now();
			this.#logs.drop(this.#logs.open(channel, nowMs), nowMs);
		});
	}

	async sweep(): Promise<void> {
		this.#sweep.restart();
		while (await this.#change(() => this.#sweep.step(this.#options.now()))) {
			// One step in each transaction.
		}
	}

	/** Resolves when nothing is under way. */
	idle(): Promise<void> {
		return this.#committer.idle();
	}

	stats(): SqliteStats {
		const { database, wal } = this.#file;
		return {
			usedBytes: database.usedBytes,
			fileBytes: database.pages * database.pageBytes,
			idempotencyKeys: this.#outcomes.size,
			records: this.records.size,
			scheduled: this.#schedule.size,
			evictedLogs: this.#room.evicted,
			forgottenKeys: this.#outcomes.forgotten,
			commits: this.#committer.commits,
			checkpoints: wal.checkpoints,
		};
	}

	/** What was asked for before is done first. */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		this.#stopSweeping();
		this.#schedule.close();
		await this.#committer.idle();
		this.#file.close(this.#committer.isTrusted);
	}

	#look<Result>(look: (nowMs: number) => Result): Promise<Result> {
		return this.#closing === undefined
			? this.#committer.settled(() => look(this.#options.now()))
			: Promise.reject(new BrokerError("closed", "the broker is closed"));
	}

	#change<Result>(change: () => Result, carried = 0): Promise<Result> {
		return this.#closing === undefined
			? this.#committer.commit(change, carried)
			: Promise.reject(new BrokerError("closed", "the broker is closed"));
	}

	#publish(channel: string, publication: Publication, options: PublishOptions): PublishResult {
		const nowMs = this.#options.now();
		const { retention, idempotencyKey, afterKey, ifPosition, snapshot, atMs } = options;
		const key = idempotencyKey === undefined ? undefined : outcomeKeyOf(channel, idempotencyKey);
		const endsMs = nowMs + (options.idempotencyMs ?? DEFAULT_IDEMPOTENCY_MS);
		const first = key === undefined ? undefined : this.#outcomes.find(key, nowMs);
		if (first !== undefined) {
			return { ...first, duplicate: true };
		}
		const early = afterKey !== undefined && this.#outcomes.find(outcomeKeyOf(channel, afterKey), nowMs) === undefined;
		if (!early && atMs !== undefined && atMs > nowMs) {
			this.#schedule.put(atMs, { channel, publication, retention });
			if (key !== undefined) {
				this.#outcomes.put(key, { status: "scheduled" }, endsMs);
			}
			return { status: "scheduled", duplicate: false };
		}
		const log = this.#logs.open(channel, nowMs);
		const head = this.#logs.position(log);
		if (early || (ifPosition !== undefined && (ifPosition.epoch !== head.epoch || ifPosition.offset !== head.offset))) {
			return { status: "conflict", position: head, ...(early && { early }) };
		}
		const position = { epoch: head.epoch, offset: head.offset + 1 };
		const told = this.#append(log, { ...publication, offset: position.offset, timeMs: nowMs }, options, snapshot);
		if (key !== undefined) {
			this.#outcomes.put(key, { status: "accepted", position }, endsMs);
		}
		return { status: "accepted", position, duplicate: false, told };
	}

	#append(log: Log, entry: Entry, { retention }: PublishOptions, snapshot?: Uint8Array): number {
		this.#logs.append(log, entry, retention, snapshot);
		return this.#telling.add(log, entry);
	}

	#appendDue(): void {
		const append = (): void => {
			for (const { channel, publication, retention } of this.#schedule.takeDue()) {
				const nowMs = this.#options.now();
				const log = this.#logs.open(channel, nowMs);
				this.#append(log, { ...publication, offset: log.state.head + 1, timeMs: nowMs }, { retention });
			}
		};
		this.#change(append).then(
			() => this.#schedule.arm(),
			() => this.#schedule.arm(true),
		);
	}

	/** What it did not get to, the next one does; what it could not do, a publish will say. */
	#sweepOnce(): void {
		this.#change(() => this.#sweep.step(this.#options.now())).catch(() => {});
	}

	/** Before each transaction, one of its own where the file is over its bound. */
	#makeRoom(): void {
		if (!this.#room.isOver) {
			return;
		}
		this.#file.database.transact(() => {
			this.#room.make(this.#options.now());
			this.#logs.flush();
		});
		this.#settle(true);
	}

	#settle(kept: boolean): void {
		this.#logs.settle();
		if (kept) {
			this.#telling.tell();
			this.#schedule.arm();
		} else {
			this.#telling.clear();
		}
	}
}
