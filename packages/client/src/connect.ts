/** The shell: wires the pure parts to a socket, a clock and the application. */
import type { Contract } from "@tidewire/contract";
import type { Client, ConnectOptions } from "./client.ts";

/** Connects to a Tidewire server, and stays connected until `close()`. */
export declare function connect<C extends Contract = Contract>(url: string | URL, options?: ConnectOptions): Client<C>;
