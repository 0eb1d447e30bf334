import type { BrokerListener } from "@tidewire/broker";
import { expect, it } from "vitest";
import { BrokerEar } from "../src/broker-ear.ts";

class Told implements BrokerListener {
	readonly channels: string[] = [];
	entries(channel: string): void {
		this.channels.push(channel);
	}
	reset(channel: string): void {
		this.channels.push(`reset ${channel}`);
	}
}

function build(): { readonly broker: BrokerListener; readonly ear: BrokerEar; readonly hub: Told } {
	let listener: BrokerListener | undefined;
	const ear = new BrokerEar({
		listen: (given) => {
			listener = given;
		},
	});
	const hub = new Told();
	ear.hub(hub);
	return { broker: listener!, ear, hub };
}

it("tells the hub of clients' channels, and each receiver of its kind of internal ones", () => {
	const { broker, ear, hub } = build();
	const [reports, presence] = [new Told(), new Told()];
	ear.on("$report:", reports);
	ear.on("$presence:", presence);
	for (const channel of ["a", "@user:ann", "$report:n1", "$presence:a:b", "report:$", "$report", "$other:x", "$:"]) {
		broker.entries(channel, "e", []);
	}
	broker.reset("$report:n1", { epoch: "f", offset: 0 });
	broker.reset("a", { epoch: "f", offset: 0 });
	expect(hub.channels).toEqual(["a", "@user:ann", "report:$", "reset a"]);
	expect(reports.channels).toEqual(["$report:n1", "reset $report:n1"]);
	expect(presence.channels).toEqual(["$presence:a:b"]);
});

it("refuses a prefix that is taken, or that no channel could be told apart by", () => {
	const { ear } = build();
	ear.on("$report:", new Told());
	expect(() => ear.on("$report:", new Told())).toThrow("taken");
	expect(() => ear.on("$report:x:", new Told())).toThrow("colon");
});
