/**
 * Where an outbox keeps what it keeps: a handful of records by key, of one owner at a time. Stores know nothing of
 * messages; `journal.ts` is the only one that calls them.
 */

/** Undefined removes the record. Values are what JSON can hold. */
export type Changes = ReadonlyMap<string, unknown>;

export interface OutboxStore {
	/** Becomes the owner, and gives all records there are. Rejects where another has it, or where it cannot be read. */
	load(): Promise<ReadonlyMap<string, unknown>>;
	/** All or nothing, and there to stay when it resolves. Called again only then. */
	write(changes: Changes): Promise<void>;
	/** Gives the ownership up, if `load` has resolved. Nothing is called after it. */
	close(): void;
}
