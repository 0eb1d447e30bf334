/**
 * The customers' pages: a small HTTP server of its own, as a shop would have one. It knows the tracking links, sets the
 * cookie that the gateway trusts, and bundles the pages' TypeScript when it starts. It does not know where any car is.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { type Delivery, deliveries, recording } from "./deliveries.ts";
import { cookieName, issueToken, sign, verify } from "./keys.ts";

const { DELIVERY_SECRET: secret, DELIVERY_HOST: host, DELIVERY_PORT, DELIVERY_PAGES_PORT } = process.env;
if (secret === undefined || host === undefined || DELIVERY_PORT === undefined || DELIVERY_PAGES_PORT === undefined) {
	throw new Error("pages.ts is started by start.ts, which draws the secret and chooses the ports");
}

/** The two pages: the same view on different feet. */
const VARIANTS = {
	sdk: { path: "", uses: "the SDK", asOther: "or with the SDK" },
	plain: { path: "/plain", uses: "a bare WebSocket", asOther: "or without it" },
} as const;
type Variant = keyof typeof VARIANTS;

const HEADERS = {
	"Content-Security-Policy": [
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self'",
		`connect-src 'self' ${[host, "127.0.0.1", "localhost"].map((name) => `ws://${name}:${DELIVERY_PORT}`).join(" ")}`,
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	].join("; "),
	"Cache-Control": "no-store",
	"Referrer-Policy": "no-referrer",
	"X-Content-Type-Options": "nosniff",
};
const [html, js, css, svg, json] = ["text/html", "text/javascript", "text/css", "image/svg+xml", "application/json"];

const scripts = { sdk: await bundle("sdk"), plain: await bundle("plain") };

const server = createServer((request, response) => {
	const url = URL.parse(request.url ?? "/", "http://pages");
	if (url === null) {
		send(response, 400, html, "");
	} else if (request.method !== "GET" && request.method !== "HEAD") {
		send(response, 405, html, "");
	} else if (url.pathname === "/") {
		send(response, 200, html, inbox());
	} else if (url.pathname === "/order.css" || url.pathname === "/icon.svg") {
		send(response, 200, url.pathname.endsWith("css") ? css : svg, file(url.pathname.slice(1)));
	} else if (url.pathname === "/sdk.js" || url.pathname === "/plain.js") {
		send(response, 200, js, scripts[url.pathname === "/sdk.js" ? "sdk" : "plain"]);
	} else {
		answerOrder(request, response, url);
	}
});

server.listen(Number(DELIVERY_PAGES_PORT), host, () => process.send?.("ready"));

/** Everything below `/orders/{orderId}`: only for whoever has the order's key, in the link or by now as a cookie. */
function answerOrder(request: IncomingMessage, response: ServerResponse, url: URL): void {
	const [, orderId = "", rest] = /^\/orders\/([^/]+)(|\/plain|\/route\.json)$/.exec(url.pathname) ?? [];
	const delivery = deliveries.get(orderId);
	const hasKey = verify(secret as string, "link", orderId, url.searchParams.get("key") ?? "");
	// An order that is not there and one that is somebody else's look alike.
	if (delivery === undefined || !(hasKey || hasCookie(request, orderId))) {
		send(response, 403, html, file("refused.html"));
		return;
	}
	if (rest === "/route.json") {
		send(response, 200, json, JSON.stringify(routeOf(delivery)));
		return;
	}
	// The page itself and no redirect: after a click in web mail, a SameSite=Strict cookie does not follow a redirect.
	const cookie = sign(secret as string, "cookie", orderId);
	response.setHeader("Set-Cookie", `${cookieName(orderId)}=${cookie}; HttpOnly; SameSite=Strict; Path=/`);
	send(response, 200, html, page(delivery, rest === "/plain" ? "plain" : "sdk"));
}

function hasCookie(request: IncomingMessage, orderId: string): boolean {
	const pair = (request.headers.cookie ?? "").split("; ").find((part) => part.startsWith(`${cookieName(orderId)}=`));
	return verify(secret as string, "cookie", orderId, pair?.slice(cookieName(orderId).length + 1) ?? "");
}

/** What the page draws: all of the recording as roads, and this order's way. */
function routeOf(delivery: Delivery): unknown {
	const places = (points: readonly { lat: number; lng: number }[]): unknown => points.map(({ lat, lng }) => [lat, lng]);
	return { roads: places(recording), route: places(delivery.leg.points), lengthM: delivery.leg.lengthM };
}

function page(delivery: Delivery, variant: Variant): string {
	const other: Variant = variant === "sdk" ? "plain" : "sdk";
	return fill("order.html", {
		...textsOf(delivery),
		initial: delivery.driver.slice(0, 1),
		variant,
		uses: VARIANTS[variant].uses,
		otherUses: VARIANTS[other].asOther,
		otherHref: `/orders/${delivery.orderId}${VARIANTS[other].path}`,
		gatewayPort: DELIVERY_PORT as string,
		token: variant === "sdk" ? issueToken(secret as string, "customer", delivery.orderId) : "",
	});
}

function inbox(): string {
	const letters = [...deliveries.values()].map((delivery) =>
		fill("letter.html", { ...textsOf(delivery), key: sign(secret as string, "link", delivery.orderId) }),
	);
	return file("inbox.html").replace("{{letters}}", () => letters.join(""));
}

function textsOf({ orderId, what, driver, car }: Delivery): Readonly<Record<string, string>> {
	return { orderId, what, driver, car };
}

/** Puts values into a page's `{{names}}`, escaped. */
function fill(name: string, values: Readonly<Record<string, string>>): string {
	return file(name).replace(/\{\{(\w+)\}\}/g, (_, key: string) => escaped(values[key] ?? ""));
}

function escaped(text: string): string {
	return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Read anew for each request, so that a change shows at the next reload. */
function file(name: string): string {
	return readFileSync(new URL(`pages/${name}`, import.meta.url), "utf8");
}

function send(response: ServerResponse, status: number, type: string | undefined, body: string): void {
	response.writeHead(status, { ...HEADERS, "Content-Type": `${type}; charset=utf-8` }).end(body);
}

/** One script for the browser, out of the page's TypeScript and the SDK's. In memory: there is no build step. */
async function bundle(variant: Variant): Promise<string> {
	const build = await rolldown({
		input: fileURLToPath(new URL(`pages/${variant}.ts`, import.meta.url)),
		platform: "browser",
		resolve: { conditionNames: ["tidewire-source", "browser", "import"] },
	});
	try {
		const { output } = await build.generate({ format: "esm", codeSplitting: false });
		return output[0].code;
	} finally {
		await build.close();
	}
}
