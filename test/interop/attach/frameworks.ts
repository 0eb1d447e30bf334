/** The same small application in each framework: what it answers is the same, and so is what it knows of WebSockets: nothing. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";

/** `GET /hello` says hello, `POST /echo` answers with the body's JSON, everything else is 404. */
export interface Application {
	readonly name: string;
	/** Listens on a free port of 127.0.0.1. */
	start(): Promise<Started>;
}

export interface Started {
	readonly server: Server;
	stop(): Promise<void>;
}

const HOST = "127.0.0.1";

async function stop(server: Server): Promise<void> {
	const closed = once(server, "close");
	server.close();
	server.closeAllConnections();
	await closed;
}

async function started(server: Server): Promise<Started> {
	await once(server, "listening");
	return { server, stop: () => stop(server) };
}

export const APPLICATIONS: readonly Application[] = [
	{
		name: "node:http",
		start: () =>
			started(
				createServer((request, response) => {
					if (request.method === "GET" && request.url === "/hello") {
						response.end("hello");
					} else if (request.method === "POST" && request.url === "/echo") {
						response.setHeader("content-type", "application/json");
						request.pipe(response);
					} else {
						response.writeHead(404).end();
					}
				}).listen(0, HOST),
			),
	},
	{
		name: "Express",
		start: () => {
			const app = express();
			app.get("/hello", (_request, response) => response.send("hello"));
			app.post("/echo", express.json({ limit: "1mb" }), (request, response) => response.json(request.body));
			return started(app.listen(0, HOST));
		},
	},
	{
		name: "Fastify",
		start: async () => {
			const app = fastify();
			app.get("/hello", async () => "hello");
			app.post("/echo", async (request) => request.body);
			await app.listen({ host: HOST, port: 0 });
			return { server: app.server, stop: () => app.close() };
		},
	},
	{
		name: "Hono",
		start: () => {
			const app = new Hono();
			app.get("/hello", (context) => context.text("hello"));
			app.post("/echo", async (context) => context.json(await context.req.json()));
			return started(serve({ fetch: app.fetch, hostname: HOST, port: 0 }) as Server);
		},
	},
];
