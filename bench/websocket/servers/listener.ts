/** The echo server on this project's own listener, which reads upgrade requests itself. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { acceptSocket, createListener } from "@tidewire/websocket/node";
import { announce } from "./announce.ts";
import { type Client, handler, options } from "./echo.ts";

const listener = createListener({
	http: createServer(),
	upgrade: (request, socket, head) => {
		const client = acceptSocket<Client>(request, socket, head, options, handler);
		if (client !== undefined) {
			client.context.connection = client;
		}
	},
});
listener.listen({ port: 0, host: "0.0.0.0", backlog: 4_096 }, () =>
	announce((listener.address() as AddressInfo).port, globalThis.gc),
);
