export { SqliteBrokerError, type SqliteBrokerErrorCode } from "./error.ts";
export type { Synchronous } from "./open.ts";
export type { SqliteBrokerOptions } from "./options.ts";
export type { After } from "./schedule.ts";
export {
	createSqliteBroker,
	createSqliteCluster,
	type SqliteBroker,
	type SqliteCluster,
} from "./sqlite-broker.ts";
export type { SqliteStats } from "./store.ts";
