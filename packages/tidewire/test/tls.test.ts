/** `tidewire serve --tls-cert --tls-key`: as a person starts it, and as a renewal finds it. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { start } from "./running.ts";

const FIXTURES = join(import.meta.dirname, "../../server/test/fixtures/tls");

async function newFolder(): Promise<{ readonly cert: string; readonly key: string }> {
	const folder = await mkdtemp(join(tmpdir(), "tidewire-tls-"));
	onTestFinished(() => rm(folder, { recursive: true }));
	return { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
}

async function put(files: { readonly cert: string; readonly key: string }, name: string): Promise<string> {
	await copyFile(join(FIXTURES, `test-only-${name}.cert.pem`), files.cert);
	await copyFile(join(FIXTURES, `test-only-${name}.key.pem`), files.key);
	return new X509Certificate(await readFile(files.cert)).fingerprint256;
}

/** What a new connection is shown. */
async function shown(url: string): Promise<string> {
	const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", rejectUnauthorized: false });
	await once(socket, "secureConnect");
	const { fingerprint256 } = socket.getPeerCertificate();
	socket.destroy();
	return fingerprint256;
}

it("serves wss:, and at SIGHUP takes the renewed certificate without dropping anybody; a bad one changes nothing", async () => {
	const files = await newFolder();
	const first = await put(files, "first");
	const gateway = start(["serve", "--port", "0", "--dev", "--tls-cert", files.cert, "--tls-key", files.key]);
	const [, url = ""] = await gateway.says(/^Clients connect to (wss:\S+)$/m);
	await gateway.says(/^Tidewire listens on https:/m);
	expect(await shown(url)).toBe(first);

	const client = new WebSocket(`${url}?channel=a`, { rejectUnauthorized: false });
	await once(client, "open");
	onTestFinished(() => client.terminate());

	const second = await put(files, "second");
	gateway.signal("SIGHUP");
	await gateway.says(new RegExp(`the certificate is read .*${second}`), "stderr");
	expect(await shown(url)).toBe(second);

	await writeFile(files.cert, "no certificate");
	gateway.signal("SIGHUP");
	await gateway.says(/the certificate stays as it was/, "stderr");
	expect(await shown(url)).toBe(second);

	const received = once(client, "message");
	const published = await start(["pub", url, "a", "1"], { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } }).ended;
	expect(published).toMatchObject({ code: 0 });
	const [data] = (await received) as [Buffer];
	expect(data.toString()).toBe("1");
	expect(client.readyState).toBe(WebSocket.OPEN);
	client.close();
	expect(await gateway.kill("SIGTERM")).toMatchObject({ code: 0 });
});

it("does not start with a certificate that cannot be used, and says why", async () => {
	const files = await newFolder();
	await put(files, "first");
	await copyFile(join(FIXTURES, "test-only-second.key.pem"), files.key);
	const ended = await start(["serve", "--port", "0", "--tls-cert", files.cert, "--tls-key", files.key]).ended;
	expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/key values mismatch/) });
	await rm(files.cert);
	const without = await start(["serve", "--port", "0", "--tls-cert", files.cert, "--tls-key", files.key]).ended;
	expect(without).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/cannot be read: ENOENT/) });
});
