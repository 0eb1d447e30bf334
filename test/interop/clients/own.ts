/** Node's own WebSocket as a client program (`../client.ts` has the commands). */
import { createInterface } from "node:readline";
import { runCommand } from "./standard.ts";

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => runCommand(line, say));
lines.on("close", () => process.exit(0));
say({ event: "ready" });
