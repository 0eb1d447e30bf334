/**
 * `tidewire serve`: the gateway as a program of its own. Arguments and the config file become the server's options; it
 * says what it opened, serves until it is told to stop, and then drains.
 */
import { once } from "node:events";
import { createServer, type Log, type TidewireServer } from "@tidewire/server";
import { Command, InvalidArgumentError, Option } from "commander";
import { type BrokerChoice, describeBroker, openBroker, readBrokerUrl } from "../broker-url.ts";
import { CertificateFiles, type CertificateUser } from "../certificate-files.ts";
import { type Config, loadConfig } from "../config.ts";
import { CliError, wordsOf } from "../error.ts";
import { describeOpening } from "../opening.ts";
import type { Terminal, Tone } from "../terminal.ts";

interface ServeOptions {
	readonly config?: string;
	readonly host: string;
	readonly port: number;
	readonly broker?: BrokerChoice;
	readonly apiKey?: string;
	readonly tlsCert?: string;
	readonly tlsKey?: string;
	/** Seconds. */
	readonly drain: number;
	readonly dev?: boolean;
}

const MEMORY: BrokerChoice = { kind: "memory" };

export function serveCommand(terminal: Terminal): Command {
	return new Command("serve")
		.description("run the gateway until SIGTERM, which drains it; a second one stops it at once")
		.option(
			"--config <file>",
			"a file that exports defineConfig({ … }) (default: tidewire.config.ts, where there is one)",
		)
		.option("--host <address>", "where to listen", "127.0.0.1")
		.option("--port <number>", "0 for any free port", readPort, 7400)
		.option("--broker <url>", "where channels live: memory or sqlite:PATH", readBroker)
		.option("--workers <number>", "processes that share the port: 1", readWorkers)
		.addOption(new Option("--api-key <key>", "a bearer token whose holder may do everything").env("TIDEWIRE_API_KEY"))
		.option(
			"--tls-cert <file>",
			"PEM: serve wss: and https: (HTTP/2 and HTTP/1.1); read again at SIGHUP and when it changes",
		)
		.option("--tls-key <file>", "PEM: the certificate's key")
		.option("--drain <seconds>", "how long clients have to move away", readSeconds, 10)
		.option("--dev", "anybody on this machine may do everything; on loopback only")
		.action((options: ServeOptions) => serve(terminal, options));
}

async function serve(terminal: Terminal, options: ServeOptions): Promise<void> {
	const { file, config } = await loadConfig(options.config);
	const { contract, broker: ownBroker, ...fromFile } = config;
	// The flag outweighs the file; without either it is memory.
	const choice = options.broker ?? (ownBroker === undefined ? MEMORY : undefined);
	const settings: Config = {
		...fromFile,
		...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
		...(options.dev === undefined ? {} : { dev: options.dev }),
		log: fromFile.log ?? logTo(terminal),
	};
	if (settings.dev === true && !isLoopback(options.host)) {
		throw new CliError(
			"usage",
			`--dev lets anybody do everything, so it listens on loopback only, not on ${options.host}`,
		);
	}

	const files = certificateFiles(options);
	const tls = await files?.read();
	const broker = choice === undefined ? ownBroker : await openBroker(choice);
	const server = createServer(contract, { ...settings, ...(broker === undefined ? {} : { broker }) });
	const { url } = await server.listen({
		host: options.host,
		port: options.port,
		...(tls === undefined ? {} : { tls }),
	});
	for (const line of describeOpening({
		url,
		file,
		settings,
		broker: choice && describeBroker(choice),
		certificate: options.tlsCert,
	})) {
		terminal.print(line);
	}
	if (files !== undefined) {
		keepCertificate(terminal, server, files);
	}

	if (!terminal.stopped.aborted) {
		await once(terminal.stopped, "abort");
	}
	files?.stop();
	terminal.note(`draining for up to ${options.drain} s; a second signal stops at once`);
	await server.close({ drainMs: options.drain * 1000 });
}

function certificateFiles({ tlsCert, tlsKey }: ServeOptions): CertificateFiles | undefined {
	if ((tlsCert === undefined) !== (tlsKey === undefined)) {
		throw new CliError("usage", "--tls-cert and --tls-key belong together");
	}
	return tlsCert === undefined || tlsKey === undefined ? undefined : new CertificateFiles(tlsCert, tlsKey);
}

function keepCertificate(terminal: Terminal, server: TidewireServer, files: CertificateFiles): void {
	const user: CertificateUser = {
		use: (texts) => server.reloadCertificate(texts),
		complain: (words) => terminal.note(words, "error"),
	};
	files.watch(user);
	terminal.onHangUp(() => void files.look(user, "asked"));
}

function logTo(terminal: Terminal): Log {
	const say =
		(tone: Tone): Log["info"] =>
		(message, fields) =>
			terminal.note(fields === undefined ? message : `${message} ${describe(fields)}`, tone);
	return { info: say("aside"), warn: say("warning"), error: say("error") };
}

/** Errors have no own enumerable fields, so JSON alone would show `{}`. */
function describe(fields: Readonly<Record<string, unknown>>): string {
	return JSON.stringify(fields, (_key, value: unknown) =>
		value instanceof Error ? (value.stack ?? value.message) : value,
	);
}

function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function readPort(text: string): number {
	const port = Number(text);
	if (!/^\d{1,5}$/.test(text) || port > 65_535) {
		throw new InvalidArgumentError("It must be a number from 0 to 65535.");
	}
	return port;
}

function readSeconds(text: string): number {
	if (!/^\d{1,6}(\.\d{1,3})?$/.test(text)) {
		throw new InvalidArgumentError("It must be a number of seconds, from 0.");
	}
	return Number(text);
}

function readBroker(text: string): BrokerChoice {
	try {
		return readBrokerUrl(text);
	} catch (error) {
		throw new InvalidArgumentError(wordsOf(error));
	}
}

function readWorkers(text: string): number {
	if (text !== "1") {
		throw new InvalidArgumentError("More than one worker is not in this version.");
	}
	return 1;
}
