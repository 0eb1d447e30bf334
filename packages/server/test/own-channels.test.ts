import { channel, contract, DEFAULT_HISTORY } from "@tidewire/contract";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { brokerNameOf, OwnChannels, type OwnName, readOwnName, wireNameOf } from "../src/own-channels.ts";

const device = (id: string): OwnName => ({ pattern: "@device:{device}", device: id });
const USER: OwnName = { pattern: "@user" };

describe("the name on the wire", () => {
	it.each(["@user", "@device:phone-1", "@device:a:b", "@device:@user"])("%s is an own channel's", (name) => {
		expect(wireNameOf(readOwnName(name)!)).toBe(name);
	});

	it.each(["@device:", "@device", "@user:ann", "@users", "@User", "@", "$user", "user"])("%s is not", (name) => {
		expect(readOwnName(name)).toBeUndefined();
	});
});

describe("the broker's channel", () => {
	it("is readable where the id is", () => {
		expect(brokerNameOf("ann", USER)).toBe("@user:ann");
		expect(brokerNameOf("ann", device("phone-1"))).toBe("@device:ann:phone-1");
	});

	it.each<[string, [string, OwnName], [string, OwnName]]>([
		["a colon in the user's id", ["a:b", device("c")], ["a", device("b:c")]],
		["a user named like an encoded one", ["a:b", USER], ["a%3Ab", USER]],
		["a user named @user", ["@user", USER], ["%40user", USER]],
		["NFC twins", ["\u00e9", USER], ["e\u0301", USER]],
		["two lone surrogates", ["\ud800", USER], ["\ud801", USER]],
		["a lone surrogate and what it becomes in UTF-8", ["\ud800", USER], ["\ufffd", USER]],
		["two long ids with one beginning", [`${"x".repeat(512)}1`, USER], [`${"x".repeat(512)}2`, USER]],
		["a user and a device of the same name", ["a", USER], ["a", device("a")]],
	])("differs: %s", (_, left, right) => {
		expect(brokerNameOf(...left)).not.toBe(brokerNameOf(...right));
	});

	it("is no other user's for an id that looks like a digest", () => {
		const long = "x".repeat(512);
		const digest = brokerNameOf(long, USER).slice("@user:".length);
		expect(digest).toMatch(/^#/);
		expect(brokerNameOf(digest, USER)).not.toBe(brokerNameOf(long, USER));
	});

	it("is one (user, device)'s only, and short enough for every broker", () => {
		const id = fc.oneof(
			fc.string({ minLength: 1, unit: "binary" }),
			fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom(":", "%", "3", "A", "#", "@", "a", "\ud800") }),
			fc.string({ minLength: 100, maxLength: 600 }),
		);
		const own = fc.oneof(fc.constant(USER), id.map(device));
		fc.assert(
			fc.property(id, own, id, own, (user, name, otherUser, otherName) => {
				const same = user === otherUser && wireNameOf(name) === wireNameOf(otherName);
				expect(brokerNameOf(user, name) === brokerNameOf(otherUser, otherName)).toBe(same);
				expect(brokerNameOf(user, name)).toMatch(/^@[\x21-\x7e]{1,300}$/);
			}),
		);
	});
});

it("an own channel is what the contract declares it to be, or has the defaults", () => {
	const inbox = channel({ history: { messages: 5 } });
	const own = new OwnChannels(contract({ channels: { "@user": inbox } }));
	expect(own.declarationOf("@user")).toBe(inbox);
	expect(own.declarationOf("@device:{device}")).toMatchObject({
		history: { ...DEFAULT_HISTORY, ageMs: 7 * 86_400_000 },
	});
});
