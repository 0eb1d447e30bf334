/** The tidewire command line. What is not listed here is private. */
export { run } from "./main.ts";
