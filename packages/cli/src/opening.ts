/** What `serve` says when it opens: where it listens, and who may do what there. Pure. */
import type { Config } from "./config.ts";

export interface Opening {
	readonly url: string;
	/** The config file, where there was one. */
	readonly file: string | undefined;
	readonly settings: Config;
	/** Where channels live, where that is known; undefined for a broker of the config's own. */
	readonly broker?: string | undefined;
	/** The certificate's file, where there is TLS. */
	readonly certificate?: string | undefined;
}

export function describeOpening({ url, file, settings, broker, certificate }: Opening): readonly string[] {
	const connect = `${url.replace(/^http/, "ws")}${settings.path ?? "/connect"}`;
	return [
		`Tidewire listens on ${url}`,
		`Clients connect to ${connect}`,
		...(certificate === undefined
			? []
			: [`TLS: ${certificate}, read again at SIGHUP and when it changes; connections stay`]),
		file === undefined ? "No config file: channels of any name, no actions" : `Config: ${file}`,
		...(broker === undefined ? [] : [broker]),
		describeAccess(settings),
	];
}

function describeAccess({ dev, apiKey, authenticate, may }: Config): string {
	if (dev === true) {
		return "WARNING: --dev lets anybody on this machine subscribe, publish and call everything, without limits";
	}
	if (may === undefined) {
		return apiKey === undefined
			? "Nobody may subscribe or publish: an --api-key, a config with rules (may), or --dev would open it"
			: "Nobody may subscribe or publish except with the API key";
	}
	const who = authenticate === undefined ? "Anonymous clients" : "Clients that the config authenticates";
	const key = apiKey === undefined ? "" : "; the holder of the API key may do everything";
	return `${who} may do what the config's rules allow${key}`;
}
