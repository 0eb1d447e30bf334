/** What the parts of one server share: its services and its settings. Built by `assemble-node.ts`, handed down, never up. */
import type { Broker } from "@tidewire/broker";
import type { ChannelRouter, Contract } from "@tidewire/contract";
import type { User } from "./auth/caller.ts";
import type { Permissions } from "./auth/permission.ts";
import type { Home } from "./connection/connection.ts";
import type { Heartbeat } from "./connection/heartbeat.ts";
import type { Performed } from "./connection/performed.ts";
import type { DurableConsumers } from "./durable/consumers.ts";
import type { FanOutReports } from "./fan-out-report.ts";
import type { ResolvedOptions } from "./options.ts";
import type { OwnChannels } from "./own-channels.ts";
import type { Presence } from "./presence/presence.ts";
import type { Publisher } from "./publisher.ts";
import type { ScheduleQuota } from "./schedule-quota.ts";
import type { Claims } from "./session/claims.ts";
import type { Sessions } from "./session/sessions.ts";
import type { States } from "./state/states.ts";

export interface TidewireNode extends Home {
	/** This node's name. */
	readonly id: string;
	readonly options: ResolvedOptions;
	readonly contract: Contract;
	readonly channels: ChannelRouter;
	readonly ownChannels: OwnChannels;
	readonly may: Permissions<Contract, User>;
	readonly broker: Broker;
	readonly heartbeat: Heartbeat;
	readonly durables: DurableConsumers;
	readonly sessions: Sessions;
	readonly performed: Performed;
	readonly claims: Claims;
	readonly presence: Presence;
	readonly reports: FanOutReports;
	readonly scheduleQuota: ScheduleQuota;
	readonly states: States;
	readonly publisher: Publisher<Contract>;
}
