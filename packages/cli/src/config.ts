/**
 * `tidewire.config.ts`: what a gateway's owner writes, and how `serve` finds and loads it. The file is a program of the
 * owner's, so what it throws is shown with its stack; the server's options are checked by the server.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Contract } from "@tidewire/contract";
import { OPTION_NAMES, refuseUnknownNames, type ServerOptions, type User } from "@tidewire/server";
import { CliError } from "./error.ts";

/** The contract beside the server's options. */
export type Config<C extends Contract = Contract, U extends User = User> = ServerOptions<C, U> & {
	readonly contract?: C;
};

const DEFAULT_FILE = "tidewire.config.ts";

/** Gives a config file its types: `export default defineConfig({ contract: delivery, may: { … } })`. */
export function defineConfig<C extends Contract, U extends User>(config: Config<C, U>): Config<C, U> {
	return config;
}

export interface LoadedConfig {
	/** Where it was read from; undefined where there is none. */
	readonly file: string | undefined;
	readonly config: Config;
}

/**
 * Loads the named file, or the default one where the working directory has it. Throws `ServerError` (`bad_option`) for a
 * name in it that nobody reads.
 */
export async function loadConfig(name: string | undefined): Promise<LoadedConfig> {
	const file = resolve(name ?? DEFAULT_FILE);
	if (!existsSync(file)) {
		if (name === undefined) {
			return { file: undefined, config: {} };
		}
		throw new CliError("failure", `there is no config file ${file}`);
	}
	const config = await readDefaultExport(file);
	if (typeof config !== "object" || config === null || Array.isArray(config)) {
		throw new CliError("failure", `${file} has no config as its default export: export default defineConfig({ … })`);
	}
	refuseUnknownNames(file, config, ["contract", ...OPTION_NAMES], "option");
	return { file, config };
}

async function readDefaultExport(file: string): Promise<unknown> {
	try {
		const module: { readonly default?: unknown } = await import(pathToFileURL(file).href);
		return module.default;
	} catch (cause) {
		if (!/\.[cm]?[jt]s$/.test(file)) {
			throw new CliError("usage", `${file} is no module: a config is a .ts, .mts, .js or .mjs file`, { cause });
		}
		const words = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
		throw new CliError("failure", `${file} does not load:\n${words}`, { cause });
	}
}
