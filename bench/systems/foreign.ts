/** The systems that are programs of others, with the least configuration that lets anybody subscribe and publish. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extensionsLine, freePort, type System, startForeign, upgradeRequest } from "./system.ts";

const CENTRIFUGO = join(import.meta.dirname, "../peers/bin/centrifugo");
const NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so";

function has(program: string, ...args: readonly string[]): boolean {
	return spawnSync(program, args).status === 0;
}

/** A folder for a configuration, and how to be rid of it. */
function scratch(
	file: string,
	text: string,
): { readonly folder: string; readonly path: string; readonly remove: () => void } {
	const folder = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
	const path = join(folder, file);
	writeFileSync(path, text);
	return { folder, path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Version 6; its defaults, but that anybody may do everything and that nothing is logged. */
export const centrifugo: System = {
	name: "centrifugo",
	inside: false,
	collects: false,
	speech: {
		subscriber: (channels, extensions) => ({
			dialect: "centrifugo",
			request: upgradeRequest("/connection/websocket", extensionsLine(extensions)),
			says: [
				`{"id":1,"connect":{}}`,
				...channels.map((channel, index) => `{"id":${index + 2},"subscribe":{"channel":"${channel}"}}`),
			],
			token: `"subscribe":{`,
			replies: channels.length,
		}),
		publisher: () => ({
			dialect: "centrifugo",
			request: upgradeRequest("/connection/websocket"),
			says: [`{"id":1,"connect":{}}`],
			token: `"connect":{`,
		}),
		publish: (channel, data) => `{"id":2,"publish":{"channel":"${channel}","data":${data}}}`,
	},
	absent: () =>
		existsSync(CENTRIFUGO)
			? undefined
			: "no binary at bench/peers/bin/centrifugo: GOBIN=$PWD/bench/peers/bin go install github.com/centrifugal/centrifugo/v6@latest",
	start: async () => {
		const port = await freePort();
		const configuration = {
			client: { insecure: true },
			http_server: { address: "127.0.0.1", port: String(port) },
			log: { level: "error" },
		};
		const { path, remove } = scratch("centrifugo.json", JSON.stringify(configuration));
		return startForeign([CENTRIFUGO, "--config", path], port, remove);
	},
};

export const nats: System = {
	name: "nats",
	inside: false,
	collects: false,
	speech: {
		subscriber: (channels, extensions) => ({
			dialect: "nats",
			request: upgradeRequest("/", extensionsLine(extensions)),
			says: [NATS_CONNECT, ...channels.map((channel, index) => `SUB ${channel} ${index + 1}\r\n`), "PING\r\n"],
			token: "PONG\r\n",
		}),
		publisher: () => ({
			dialect: "nats",
			request: upgradeRequest("/"),
			says: [NATS_CONNECT, "PING\r\n"],
			token: "PONG\r\n",
		}),
		publish: (channel, data) => `PUB ${channel} ${Buffer.byteLength(data)}\r\n${data}\r\n`,
	},
	absent: () => (has("nats-server", "--version") ? undefined : "no nats-server in PATH (Debian: nats-server)"),
	start: async () => {
		const [port, clients] = [await freePort(), await freePort()];
		const { path, remove } = scratch(
			"nats.conf",
			`listen: "127.0.0.1:${clients}"\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\nlog_file: "/dev/null"\n`,
		);
		return startForeign(["nats-server", "-c", path], port, remove);
	},
};

const NATS_CONNECT = `CONNECT {"verbose":false,"pedantic":false}\r\n`;

export const nchan: System = {
	name: "nchan",
	inside: false,
	collects: false,
	speech: {
		// Nothing says that a subscription stands but the handshake.
		subscriber: (channels, extensions) => ({
			dialect: "plain",
			request: upgradeRequest(`/subscribe?channels=${channels.join(",")}`, extensionsLine(extensions)),
		}),
		publisher: (channel) => ({ dialect: "plain", request: upgradeRequest(`/publish?channels=${channel}`) }),
		publish: (_channel, data) => data,
	},
	absent: () => {
		if (!has("nginx", "-v")) {
			return "no nginx in PATH (Debian: nginx)";
		}
		return existsSync(NCHAN) ? undefined : "no Nchan for nginx (Debian: libnginx-mod-nchan)";
	},
	start: async () => {
		const port = await freePort();
		const { folder, path, remove } = scratch("nginx.conf", nginxConfiguration(port));
		return startForeign(["nginx", "-p", folder, "-c", path, "-e", "stderr"], port, remove);
	},
};

/** One process, so that all of it is in its figures. */
function nginxConfiguration(port: number): string {
	return `load_module ${NCHAN};
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
worker_rlimit_nofile 20000;
events { worker_connections 19500; }
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	nchan_max_reserved_memory 256M;
	server {
		listen 127.0.0.1:${port} backlog=4096;
		location = /subscribe {
			nchan_subscriber websocket;
			nchan_channel_id $arg_channels;
			nchan_channel_id_split_delimiter ",";
			nchan_subscriber_first_message newest;
		}
		location = /publish {
			nchan_publisher websocket;
			nchan_channel_id $arg_channels;
		}
	}
}
`;
}
