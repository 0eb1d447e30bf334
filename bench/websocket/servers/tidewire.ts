/** An echo server on this project's engine, attached to an `http.Server`. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { acceptSocket } from "@tidewire/websocket/node";
import { announce } from "./announce.ts";
import { type Client, handler, options } from "./echo.ts";

const server = createServer();
server.on("upgrade", (request, socket, head) => {
	const client = acceptSocket<Client>(request, socket as Socket, head, options, handler);
	if (client !== undefined) {
		client.context.connection = client;
	}
});
server.listen({ port: 0, host: "0.0.0.0", backlog: 4_096 }, () =>
	announce((server.address() as AddressInfo).port, globalThis.gc),
);
