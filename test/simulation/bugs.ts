/** Servers and brokers that are wrong on purpose, to show that simulations find what they are made to find. */
import type { Broker, Entry, Publication, PublishOptions, PublishResult } from "@tidewire/broker";
import { Hub } from "../../packages/server/src/hub/hub.ts";
import type { World } from "./world.ts";

export interface Bug {
	/** How what is found begins. */
	readonly shows: string;
	/** What a node's broker does in place of what it should. */
	readonly broker?: (broker: Broker, world: World) => Broker;
	/** How the broker names its epochs. */
	readonly epoch?: () => string;
	/** Changes the server's code; what it returns changes it back. */
	readonly install?: () => () => void;
}

export const BUGS = {
	/** And says that there was nothing between the entries around it. */
	"loses a telling": { broker: losingTellings, shows: "lost_acked" },
	"appends twice": { broker: appendingTwice, shows: "duplicates" },
	"skips one on resume": { broker: skippingOnRead, shows: "lost_acked" },
	"gives offsets out anew": { epoch: () => "always-the-same", shows: "offset_reuse" },
	"acknowledges what it has not accepted": { broker: acknowledgingNothing, shows: "wrong_ack" },
	"forgets idempotency keys": { broker: forgettingKeys, shows: "duplicates" },
	"appends in another order": { broker: swapping, shows: "reorder" },
	"delivers after unsubscribe": { install: neverLeaving, shows: "leak" },
	"performs calls without a claim": { broker: claimingAll, shows: "calls" },
	"forgets a member": { broker: hidingRecords, shows: "missing_member" },
} as const satisfies Readonly<Record<string, Bug>>;

export type BugName = keyof typeof BUGS;

/** A broker that differs in these methods. */
function altered(broker: Broker, changes: Partial<Broker>): Broker {
	return new Proxy(broker, {
		get(target, name) {
			const changed: unknown = Reflect.get(changes, name);
			const value: unknown = changed ?? Reflect.get(target, name, target);
			return typeof value === "function" ? value.bind(changed === undefined ? target : changes) : value;
		},
	});
}

/** `entry`, as if it followed on the one that has this offset. */
function following(entry: Entry, previous: number): Entry {
	return { ...entry, previous };
}

function losingTellings(broker: Broker, { random }: World): Broker {
	const hidden = new Map<string, number>();
	return altered(broker, {
		listen: (listener) =>
			broker.listen({
				reset: (channel, position) => listener.reset(channel, position),
				entries(channel, epoch, entries) {
					const [first] = entries;
					if (first === undefined) {
						return;
					}
					if (random() < 0.1) {
						hidden.set(channel, hidden.get(channel) ?? first.previous ?? first.offset - 1);
						return;
					}
					const previous = hidden.get(channel);
					hidden.delete(channel);
					listener.entries(channel, epoch, previous === undefined ? entries : [following(first, previous)]);
				},
			}),
	});
}

function appendingTwice(broker: Broker, { random }: World): Broker {
	return altered(broker, {
		async publish(channel, publication, options) {
			const result = await broker.publish(channel, publication, options);
			if (random() < 0.1) {
				await broker.publish(channel, publication, { retention: options.retention });
			}
			return result;
		},
	});
}

function skippingOnRead(broker: Broker): Broker {
	return altered(broker, {
		async read(channel, options) {
			const page = await broker.read(channel, options);
			const [first, second, ...rest] = page.entries;
			return first === undefined || second === undefined || options.reverse === true
				? page
				: { ...page, entries: [following(second, first.offset - 1), ...rest] };
		},
	});
}

function acknowledgingNothing(broker: Broker, { random }: World): Broker {
	return altered(broker, {
		async publish(channel, publication, options) {
			if (random() >= 0.05) {
				return broker.publish(channel, publication, options);
			}
			const { epoch, head } = await broker.read(channel, { after: 0, limit: 0 });
			return { status: "accepted", position: { epoch, offset: head + 1 }, duplicate: false };
		},
	});
}

function forgettingKeys(broker: Broker): Broker {
	return altered(broker, {
		publish(channel, publication, { idempotencyKey: _, afterKey: __, ...options }) {
			return broker.publish(channel, publication, options);
		},
	});
}

/** Now and then one has to wait until the next has been appended, or for a while. */
function swapping(broker: Broker, world: World): Broker {
	let held: (() => void) | undefined;
	return altered(broker, {
		publish(channel: string, publication: Publication, options: PublishOptions): Promise<PublishResult> {
			if (held === undefined && world.random() < 0.2) {
				return new Promise((resolve) => {
					held = () => {
						held = undefined;
						resolve(broker.publish(channel, publication, options));
					};
					world.after(30, held);
				});
			}
			const result = broker.publish(channel, publication, options);
			held?.();
			return result;
		},
	});
}

function claimingAll(broker: Broker): Broker {
	const { records } = broker;
	return altered(broker, {
		records: {
			...records,
			setIfAbsent: (key, value, ttlMs) =>
				key.startsWith("call:") ? Promise.resolve(undefined) : records.setIfAbsent(key, value, ttlMs),
		},
	});
}

function hidingRecords(broker: Broker): Broker {
	const { records } = broker;
	return altered(broker, {
		records: { ...records, list: async (prefix, options) => (await records.list(prefix, options)).slice(1) },
	});
}

function neverLeaving(): () => void {
	const { leave } = Hub.prototype;
	Hub.prototype.leave = () => {};
	return () => {
		Hub.prototype.leave = leave;
	};
}
