/** Tidewire's server: attach it to any Node HTTP server, or let it listen. */
export { type ActionContext, ActionError, type ActionHandlers } from "./action-handler.ts";
export type { User } from "./auth/caller.ts";
export type { Credentials } from "./auth/credentials.ts";
export type { CallRuleContext, ChannelRules, Permissions, PublishRules, Rule, RuleContext } from "./auth/permission.ts";
export { ServerError, type ServerErrorCode } from "./errors.ts";
export type { HttpServer } from "./http/attach.ts";
export type { Certificate } from "./http/certificate.ts";
export { type Log, SILENT } from "./observe/log.ts";
export { refuseUnknownNames } from "./option-names.ts";
export {
	type DurableOptions,
	type HeartbeatLimits,
	type Limits,
	OPTION_NAMES,
	type RouteOptions,
	type ServerOptions,
} from "./options.ts";
export type { PresenceListing, PresenceListOptions, PresenceMember } from "./presence-listing.ts";
export type {
	BroadcastExtras,
	Destination,
	PublishExtras,
	Publisher,
	PublishReport,
	ServerChannel,
	ServerUser,
} from "./publisher.ts";
export { createServer, type Listening, type ListenOptions, type TidewireServer } from "./server.ts";
export type { ChangeExtras, StateDestination, StateValue } from "./state-destination.ts";
