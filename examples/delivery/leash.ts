/**
 * Loaded first by each program that `start.ts` runs: when `start.ts` is gone, even by `kill -9`, they end too. The sign is
 * the channel between parent and child, which the operating system closes.
 */
process.on("disconnect", () => process.exit(1));
// Listening must not be what keeps a program running.
process.channel?.unref();
