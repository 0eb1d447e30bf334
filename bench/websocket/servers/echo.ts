/** The echo of both servers on this project's engine: what came is handed over, as `ws` takes everything it is to send. */
import type { Socket } from "node:net";
import { type Connection, resolveCompression } from "@tidewire/websocket";
import { type SocketAcceptOptions, socketHandler } from "@tidewire/websocket/node";
import { compressed, THRESHOLD } from "./announce.ts";

export interface Client {
	readonly socket: Socket;
	connection: Connection<Client> | undefined;
}

export const options: SocketAcceptOptions<Client> = {
	context: (socket) => ({ socket, connection: undefined }),
	...(compressed ? { compression: resolveCompression({ threshold: THRESHOLD }) } : undefined),
};

export const handler = socketHandler<Client>({
	message: (client, data, text) => {
		if (text) {
			client.connection?.sendText(data, true);
		} else {
			client.connection?.sendBinary(data, true);
		}
	},
	ping: () => {},
	pong: () => {},
	close: () => {},
});
