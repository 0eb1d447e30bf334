/**
 * What is in the file. Times are milliseconds since 1970; names and keys stand in the bytes of `name-bytes.ts`. A
 * change here is a new `SCHEMA_VERSION` and a way from the old one.
 */

/** "Tide", so that a file says whose it is. */
export const APPLICATION_ID = 0x54696465;
export const SCHEMA_VERSION = 1;

export const SCHEMA = `
-- One row: the file itself. Epochs are made of id, era, a log's life and its name (epoch.ts).
CREATE TABLE file (
	id BLOB NOT NULL,
	era INTEGER NOT NULL,
	-- Raised whenever a log ends, so that no later life of a channel is like an earlier one.
	generation INTEGER NOT NULL,
	-- The machine's start and the durability under which the last owner wrote, and whether it closed the file.
	boot TEXT NOT NULL,
	synchronous TEXT NOT NULL,
	clean INTEGER NOT NULL
);

CREATE TABLE log (
	-- Never used twice: what is left of an ended log's entries is found by it.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name BLOB NOT NULL UNIQUE,
	life INTEGER NOT NULL,
	head INTEGER NOT NULL,
	-- Entries after tail are kept; those up to cut are no longer in the file; what lies between is still to be removed.
	tail INTEGER NOT NULL,
	cut INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	touchedMs INTEGER NOT NULL,
	ageMs REAL NOT NULL,
	-- When it was used last, to the minute: the order in which logs are given up for room.
	used INTEGER NOT NULL
);
CREATE INDEX log_used ON log (used, id);

CREATE TABLE entry (
	log INTEGER NOT NULL,
	place INTEGER NOT NULL,
	timeMs INTEGER NOT NULL,
	endsMs REAL,
	weight INTEGER NOT NULL,
	isBinary INTEGER NOT NULL,
	-- JSON of what most entries have not: name, key, from, exclude, ttlMs, patch, report.
	attributes TEXT,
	data BLOB NOT NULL,
	PRIMARY KEY (log, place)
) WITHOUT ROWID;

CREATE TABLE snapshot (
	log INTEGER PRIMARY KEY,
	place INTEGER NOT NULL,
	data BLOB NOT NULL
);

-- Entries of these logs up to these places are to be removed, a part at a time.
CREATE TABLE garbage (
	log INTEGER PRIMARY KEY,
	upTo INTEGER NOT NULL
);

-- What a repeat of an idempotency key is answered with; no epoch: it was scheduled.
CREATE TABLE outcome (
	key BLOB PRIMARY KEY,
	endsMs REAL NOT NULL,
	epoch TEXT,
	place INTEGER
) WITHOUT ROWID;
CREATE INDEX outcome_ends ON outcome (endsMs);

CREATE TABLE record (
	key BLOB PRIMARY KEY,
	value BLOB NOT NULL,
	endsMs REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX record_ends ON record (endsMs);

CREATE TABLE scheduled (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	atMs REAL NOT NULL,
	name BLOB NOT NULL,
	isBinary INTEGER NOT NULL,
	attributes TEXT,
	data BLOB NOT NULL,
	messages REAL NOT NULL,
	bytes REAL NOT NULL,
	ageMs REAL NOT NULL
);
CREATE INDEX scheduled_at ON scheduled (atMs, id);
`;
