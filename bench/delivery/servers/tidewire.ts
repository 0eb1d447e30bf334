/** Tidewire with its defaults, and routes so that a plain client subscribes or publishes by its path. */
import { channel, contract } from "@tidewire/contract";
import { createServer } from "@tidewire/server";

const tidewire = createServer(contract({ channels: { "bench_{channel}": channel() } }), {
	may: { subscribe: { "bench_{channel}": true }, publish: { "bench_{channel}": true } },
	routes: {
		"/subscribe?channel={channel}": { channels: ["bench_{channel}"] },
		"/publish?channel={channel}": { publish: "bench_{channel}" },
	},
});
const { port } = await tidewire.listen({ port: 0 });
process.stdin.on("end", () => process.exit()).resume();
process.stdout.write(`port ${port}\n`);
