import { describe, expect, it } from "vitest";
import { Router } from "../../src/http/route.ts";
import { readUrl } from "../../src/http/upgrade.ts";

function match(router: Router, target: string) {
	const { path, query } = readUrl(target);
	return { owned: router.owns(path), entrance: router.match(path, query) };
}

const router = new Router("/connect", {
	"/track?orderId={orderId}": { channels: ["order_{orderId}"] },
	"/chat/{room}": { channels: ["chat:{room}", "news"], publish: "chat:{room}" },
	"/two?a={x}": { channels: ["x_{x}"] },
	"/two?b={y}": { channels: ["y_{y}"] },
});

describe("from a request's target to channels", () => {
	it.each([
		["/connect", []],
		["/connect?channel=a&channel=b", ["a", "b"]],
		["/connect?channel=a&channel=a", ["a"]],
		["/connect?token=x&channel=chat%3Alobby", ["chat:lobby"]],
		["/track?orderId=123", ["order_123"]],
		["/track?x=1&orderId=a%20b", ["order_a b"]],
		["/chat/lobby", ["chat:lobby", "news"]],
		["/chat/caf%C3%A9", ["chat:café", "news"]],
		["/two?b=1", ["y_1"]],
		["http://any.example/track?orderId=123", ["order_123"]],
		["HTTPS://any.example:8080/connect?channel=a", ["a"]],
	])("%s", (target, channels) => {
		expect(match(router, target)).toMatchObject({ owned: true, entrance: { channels } });
	});

	it.each([
		["a parameter is missing", "/track"],
		["a parameter stands twice", "/track?orderId=1&orderId=2"],
		["a parameter is empty", "/track?orderId="],
		["a parameter holds a separator", "/track?orderId=a:b"],
		["a parameter holds an encoded slash", "/chat/a%2fb"],
		["a parameter holds an encoded slash, in capitals", "/chat/a%2Fb"],
		["a parameter holds an encoded dot", "/chat/%2e%2e"],
		["the encoding of the path is broken", "/chat/%zz"],
		["the encoding of the path is no UTF-8", "/chat/%ff"],
		["none of the path's routes has this query", "/two?c=1"],
		["more channels are asked for than anybody honest asks for", `/connect?${"channel=a&".repeat(101)}`],
	])("S26: is ours, but names nothing, where %s", (_, target) => {
		expect(match(router, target)).toEqual({ owned: true, entrance: "missing" });
	});

	it.each([
		"/",
		"",
		"/Connect",
		"/connect/",
		"//connect",
		"/connect/x",
		"/conne%63t",
		"/chat",
		"/chat/",
		"/chat/a/b",
		"/chat/a.b",
		"/chat/../connect",
		"http://any.example",
		"*",
		"//evil.example/connect",
	])("leaves %j to others", (target) => {
		expect(match(router, target)).toEqual({ owned: false, entrance: undefined });
	});

	it("knows the parameters, without a prototype", () => {
		const { entrance } = match(router, "/chat/lobby");
		expect(entrance).toMatchObject({ publish: "chat:lobby" });
		const { params } = entrance as { params: Record<string, string> };
		expect([Object.getPrototypeOf(params), { ...params }]).toEqual([null, { room: "lobby" }]);
	});

	it.each(["__proto__", "constructor"])("S18: takes %s for a value like any other", (value) => {
		expect(match(router, `/track?orderId=${value}`).entrance).toMatchObject({ channels: [`order_${value}`] });
	});
});

describe("routes that cannot be meant are refused at the start", () => {
	it.each([
		["a relative path", { track: { channels: [] } }],
		["a query without a parameter", { "/track?orderId=1": { channels: [] } }],
		["a channel with a parameter that the route does not have", { "/track": { channels: ["order_{orderId}"] } }],
		["a publish likewise", { "/track": { publish: "order_{orderId}" } }],
		["a channel that is no pattern", { "/track": { channels: ["{"] } }],
	])("%s", (_, routes) => {
		expect(() => new Router("/connect", routes)).toThrow();
	});
});
