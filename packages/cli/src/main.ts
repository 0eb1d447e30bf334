/**
 * The command line's front: names the commands, hands them their parsed arguments, and turns what they throw into words
 * and an exit code. What a command does stands in its own file.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { benchCommand } from "./commands/bench.ts";
import { pubCommand } from "./commands/pub.ts";
import { serveCommand } from "./commands/serve.ts";
import { subCommand } from "./commands/sub.ts";
import { verifyCommand } from "./commands/verify.ts";
import { CliError, EXIT, wordsOf } from "./error.ts";
import { openTerminal, type Terminal } from "./terminal.ts";

/** Runs one command to its end. Resolves with the exit code; throws nothing. */
export async function run(argv: readonly string[]): Promise<number> {
	const terminal = openTerminal();
	try {
		await program(terminal).parseAsync(argv, { from: "user" });
		return EXIT.clean;
	} catch (error) {
		if (error instanceof CommanderError) {
			// Commander has printed its words already. Asking for help or the version is no mistake.
			return error.exitCode === 0 ? EXIT.clean : EXIT.usage;
		}
		terminal.note(`tidewire: ${wordsOf(error)}`, "error");
		return error instanceof CliError && error.code === "usage" ? EXIT.usage : EXIT.failure;
	} finally {
		terminal.release();
	}
}

function program(terminal: Terminal): Command {
	const commands = [
		serveCommand(terminal),
		subCommand(terminal),
		pubCommand(terminal),
		verifyCommand(terminal),
		benchCommand(terminal),
	];
	const tidewire = new Command("tidewire")
		.description("Self-hosted realtime messaging")
		.version(readVersion(), "-v, --version")
		.showHelpAfterError("(--help says more)");
	for (const command of commands) {
		tidewire.addCommand(command.copyInheritedSettings(tidewire).exitOverride());
	}
	return tidewire.exitOverride();
}

function readVersion(): string {
	const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
	return (manifest as { readonly version: string }).version;
}
