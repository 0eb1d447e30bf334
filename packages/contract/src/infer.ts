/**
 * Types read off a contract. Nothing here exists at run time. Each takes the contract's type first
 * (`typeof delivery`); with the wide `Contract`, or an open part, names are any string and data is unknown.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Actions, Channels, Contract } from "./contract.ts";
import type { ActionDeclaration, ChannelDeclaration, MaybeSchema, Schema, StateLimits } from "./declaration.ts";
import type { OwnPattern } from "./pattern.ts";

// --- Channels -------------------------------------------------------------------------------------------------------

/** The patterns as declared: `"order_{orderId}"`. */
export type ChannelPattern<C extends Contract> = Keys<C["channels"]>;

/** The names that can be used: `` `order_${string}` ``. */
export type ChannelName<C extends Contract> = NameOf<ChannelPattern<C>>;

/** The same without a caller's own channels, which a server reaches by their user. */
export type SharedChannelName<C extends Contract> = Exclude<ChannelName<C>, NameOf<OwnPattern>>;

/** What a publisher to a user's own channel gives: anything where the contract does not declare it. */
export type OwnInput<C extends Contract, Own extends OwnPattern> =
	IsOpen<C["channels"]> extends true
		? unknown
		: Own extends keyof C["channels"]
			? In<C["channels"][Own]["data"]>
			: unknown;

/** What a subscriber of this channel gets: the schema's output. The channel may be a name or its pattern. */
export type ChannelData<C extends Contract, Name extends string> = Out<DataSchema<C, Name>>;

/** What a publisher to this channel gives: the schema's input. */
export type ChannelInput<C extends Contract, Name extends string> = In<DataSchema<C, Name>>;

/** Whether this channel is a state channel, as far as types can say it. */
export type IsState<C extends Contract, Name extends string> = [ChannelAt<C["channels"], Name>["state"]] extends [
	StateLimits,
]
	? true
	: false;

/** What a publisher to this state channel may give instead of a whole value. */
export type ChannelPatch<C extends Contract, Name extends string> = MergePatch<ChannelInput<C, Name>>;

/**
 * An RFC 7396 patch of a value: members to set, null for those to remove. Anything but an object replaces the value, and
 * a member that is an object is patched within.
 */
export type MergePatch<T> = unknown extends T
	? unknown
	: T extends readonly unknown[]
		? T
		: T extends object
			? { readonly [K in keyof T]?: MergePatch<T[K]> | null }
			: T;

/** The names that a pattern stands for, as far as types can say it. */
export type NameOf<Pattern extends string> = Pattern extends `${infer Head}{${string}}${infer Tail}`
	? `${Head}${string}${NameOf<Tail>}`
	: Pattern;

/** The parameters of a pattern: `{ readonly orderId: string }`. */
export type ChannelParams<Pattern extends string> = string extends Pattern
	? Readonly<Record<string, string>>
	: { readonly [Name in ParameterOf<Pattern>]: string };

type ParameterOf<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Tail}`
	? Name | ParameterOf<Tail>
	: never;

type DataSchema<C extends Contract, Name extends string> = ChannelAt<C["channels"], Name>["data"];

type ChannelAt<C extends Channels, Name extends string> =
	IsOpen<C> extends true
		? ChannelDeclaration
		: Name extends keyof C
			? C[Name]
			: { [P in keyof C & string]: IsNameOf<Name, P> extends true ? C[P] : never }[keyof C & string];

/**
 * Whether a name matches a pattern, by the same rule as `pattern.ts`: a parameter holds one character or more, and
 * none of : / and dot. So "order_1:notes" has the type of "order_{id}:notes" and not also that of "order_{id}".
 */
export type IsNameOf<Name extends string, Pattern extends string> = Pattern extends `${infer PHead}:${infer PTail}`
	? Name extends `${infer Head}:${infer Tail}`
		? Both<IsPathOf<Head, PHead>, IsNameOf<Tail, PTail>>
		: false
	: Name extends `${string}:${string}`
		? false
		: IsPathOf<Name, Pattern>;

type IsPathOf<Name extends string, Pattern extends string> = Pattern extends `${infer PHead}/${infer PTail}`
	? Name extends `${infer Head}/${infer Tail}`
		? Both<IsDottedOf<Head, PHead>, IsPathOf<Tail, PTail>>
		: false
	: Name extends `${string}/${string}`
		? false
		: IsDottedOf<Name, Pattern>;

type IsDottedOf<Name extends string, Pattern extends string> = Pattern extends `${infer PHead}.${infer PTail}`
	? Name extends `${infer Head}.${infer Tail}`
		? Both<IsSegmentOf<Head, PHead>, IsDottedOf<Tail, PTail>>
		: false
	: Name extends `${string}.${string}`
		? false
		: IsSegmentOf<Name, Pattern>;

type IsSegmentOf<Name extends string, Pattern extends string> =
	IsLiteral<Name> extends true
		? Pattern extends `${infer Head}{${string}}${infer Tail}`
			? Name extends `${Head}${infer _First}${infer Rest}`
				? IsRestOf<Rest, Tail>
				: false
			: Name extends Pattern
				? true
				: false
		: Name extends NameOf<Pattern>
			? true
			: false;

/** After a parameter's first character: the rest of its value, then the rest of the pattern. */
type IsRestOf<Name extends string, Pattern extends string> = Pattern extends `${infer Head}{${string}}${infer Tail}`
	? Name extends `${string}${Head}${infer _First}${infer Rest}`
		? IsRestOf<Rest, Tail>
		: false
	: Name extends `${string}${Pattern}`
		? true
		: false;

/** Whether a type is one string, as against `string` or `` `order_${string}` ``. */
type IsLiteral<Name extends string> = Record<never, never> extends Record<Name, 1> ? false : true;

type Both<A extends boolean, B extends boolean> = A extends true ? B : false;

// --- Actions --------------------------------------------------------------------------------------------------------

export type ActionName<C extends Contract> = Keys<C["actions"]>;

/** What a caller sends: the input schema's input; undefined where the action takes none. */
export type ActionInput<C extends Contract, Name extends string> = InOrNothing<ActionAt<C["actions"], Name>["input"]>;

/** What a caller gets with the acknowledgement: the output schema's output. */
export type ActionOutput<C extends Contract, Name extends string> = Out<ActionAt<C["actions"], Name>["output"]>;

/** What a caller of a streaming action gets one by one: the stream schema's output; never where it does not stream. */
export type ActionItem<C extends Contract, Name extends string> = OutOrNever<ActionAt<C["actions"], Name>["stream"]>;

/** What a handler gets: the input schema's output. */
export type HandlerInput<C extends Contract, Name extends string> = OutOrNothing<ActionAt<C["actions"], Name>["input"]>;

/** What a handler returns: the output schema's input. */
export type HandlerOutput<C extends Contract, Name extends string> = In<ActionAt<C["actions"], Name>["output"]>;

/** What a streaming handler yields: the stream schema's input; never where the action does not stream. */
export type HandlerItem<C extends Contract, Name extends string> = InOrNever<ActionAt<C["actions"], Name>["stream"]>;

/** What a handler is, given what it is called with. A streaming one yields items and may return an output. */
export type HandlerResult<C extends Contract, Name extends string> = [HandlerItem<C, Name>] extends [never]
	? HandlerOutput<C, Name> | Promise<HandlerOutput<C, Name>>
	: unknown extends HandlerItem<C, Name>
		? unknown
		: AsyncIterable<HandlerItem<C, Name>, HandlerOutput<C, Name>>;

/** The actions whose reply streams; with the wide `Contract`, any. */
export type StreamingActionName<C extends Contract> = {
	[Name in ActionName<C>]: [ActionItem<C, Name>] extends [never] ? never : Name;
}[ActionName<C>];

type ActionAt<A extends Actions, Name extends string> =
	IsOpen<A> extends true ? ActionDeclaration : Name extends keyof A ? A[Name] : never;

// --- Schemas --------------------------------------------------------------------------------------------------------

type In<S extends MaybeSchema> = S extends Schema ? StandardSchemaV1.InferInput<S> : unknown;
type Out<S extends MaybeSchema> = S extends Schema ? StandardSchemaV1.InferOutput<S> : unknown;
type InOrNothing<S extends MaybeSchema> = [S] extends [undefined] ? undefined : In<S>;
type OutOrNothing<S extends MaybeSchema> = [S] extends [undefined] ? undefined : Out<S>;
type InOrNever<S extends MaybeSchema> = [S] extends [undefined] ? never : In<S>;
type OutOrNever<S extends MaybeSchema> = [S] extends [undefined] ? never : Out<S>;

/** Whether a part of a contract declares nothing, or is wide. */
type IsOpen<Part> = [keyof Part] extends [never] ? true : string extends keyof Part ? true : false;

type Keys<Part> = IsOpen<Part> extends true ? string : keyof Part & string;
