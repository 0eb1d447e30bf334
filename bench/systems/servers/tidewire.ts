/** Tidewire with its defaults, and a path by which a plain client publishes. */
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { channel, contract } from "@tidewire/contract";
import { createServer } from "@tidewire/server";
import { serve, settings } from "./control.ts";

const tidewire = createServer(contract({ channels: { "bench_{channel}": channel() } }), {
	may: { subscribe: { "bench_{channel}": true }, publish: { "bench_{channel}": true } },
	routes: { "/publish?channel={channel}": { publish: "{channel}" } },
	compression: settings.compression ?? false,
});

async function port(): Promise<number> {
	if (settings.attached !== true) {
		return (await tidewire.listen({ port: 0 })).port;
	}
	const http = tidewire.attach(createHttpServer());
	await new Promise<void>((resolve) => http.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, resolve));
	return (http.address() as AddressInfo).port;
}

type Channel = ReturnType<typeof tidewire.channel<`bench_${string}`>>;
const channels = new Map<string, Channel>();

serve(
	await port(),
	(name, data) => {
		let known = channels.get(name);
		if (known === undefined) {
			known = tidewire.channel(name as `bench_${string}`);
			channels.set(name, known);
		}
		void known.publish(data);
	},
	globalThis.gc,
);
