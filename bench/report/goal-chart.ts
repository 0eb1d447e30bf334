/**
 * All goals at a glance: each figure as a part of its limit, on a scale on which half and double are as far from it. Left
 * of the line is met. A missed one differs in shape, not in colour alone. Pure.
 */
import type { Goal } from "../result.ts";
import { logAxis } from "./axis.ts";
import { at, line, MARGIN, rect, sheet, TITLE_HEIGHT, text, WIDTH, widthOf, wrapped, written } from "./svg.ts";

export interface GoalGroup {
	readonly subject: string;
	readonly goals: readonly Goal[];
}

const STEP = 23;
const LINE_HEIGHT = 16;
/** Longer names are broken, or there would be no room for the figures. */
const WIDEST_NAME = 330;
const GROUP_HEAD = 28;

export function drawGoals(title: string, groups: readonly GoalGroup[]): string {
	const goals = groups.flatMap((group) => group.goals);
	const parts = goals.flatMap((goal) =>
		Object.values(partsOf(goal)).filter((part) => part > 0 && Number.isFinite(part)),
	);
	const left =
		MARGIN + Math.max(...goals.flatMap(({ name }) => wrapped(name, WIDEST_NAME).map((part) => widthOf(part)))) + 12;
	const right = WIDTH - MARGIN - 10;
	const axis = logAxis(Math.min(0.5, ...parts), Math.max(2, ...parts));
	const x = (part: number): number => left + axis.place(part) * (right - left);
	const top = TITLE_HEIGHT + 4;
	const drawn: string[] = [];
	let y = top;
	for (const { subject, goals: own } of groups) {
		drawn.push(text(MARGIN, y + 19, subject, "strong"));
		y += GROUP_HEAD;
		for (const goal of own) {
			const words = wrapped(goal.name, WIDEST_NAME);
			drawn.push(...words.map((part, index) => text(left - 12, y + 13 + index * LINE_HEIGHT, part, "ink", "end")));
			drawn.push(drawGoal(goal, y + 8.5 + ((words.length - 1) * LINE_HEIGHT) / 2, { left, right, x }));
			y += STEP + (words.length - 1) * LINE_HEIGHT;
		}
		y += 4;
	}
	const ground = rect(left, top, x(1) - left, y - top, "shade");
	const grid = axis.ticks.flatMap((tick) => [
		line(x(tick), top, x(tick), y, tick === 1 ? "soft" : "grid"),
		text(x(tick), y + 18, written(tick), tick === 1 ? "strong" : "soft", "middle"),
	]);
	const foot = text(
		(left + right) / 2,
		y + 37,
		"figure as a part of its limit (log scale); the shaded side is met",
		"soft",
		"middle",
	);
	const met = goals.filter((goal) => goal.met === true).length;
	const missed = goals.filter((goal) => goal.met === false).length;
	const unknown = goals.length - met - missed;
	const subtitle = [
		`● met: ${met}`,
		`◇ missed: ${missed}`,
		...(unknown === 0 ? [] : [`not measured: ${unknown}`]),
	].join(", ");
	return sheet(y + 46, title, subtitle, subtitle, [ground, ...grid, ...drawn, foot].join("\n"));
}

interface Scale {
	readonly left: number;
	readonly right: number;
	readonly x: (part: number) => number;
}

function drawGoal(goal: Goal, y: number, { left, right, x }: Scale): string {
	if (goal.figure === null || goal.met === null) {
		return text(left + 6, y + 4.5, "not measured", "soft");
	}
	const { figure, least, most } = partsOf(goal);
	// Of a limit of 0 there are no parts: it stands at the end of its side.
	const place = Number.isFinite(figure) ? x(figure) : goal.met ? left + 8 : right - 8;
	const spread =
		Number.isFinite(least) && Number.isFinite(most) && least !== most
			? `<path class="whisker line-ink" d="M${at(x(least))} ${at(y)}H${at(x(most))}"/>`
			: "";
	const mark = goal.met
		? `<circle cx="${at(place)}" cy="${at(y)}" r="6" class="fill-blue"/>`
		: `<path d="M${at(place)} ${at(y - 8)}l8 8l-8 8l-8 -8z" class="fill-ground line-orange" stroke-width="3"/>`;
	return spread + mark;
}

/** As parts of the limit: below 1 is met, also where the figure is to be at least so much. NaN where it is not known. */
export function partsOf(goal: Goal): { readonly figure: number; readonly least: number; readonly most: number } {
	const part = (value: number | null | undefined): number =>
		value === null || value === undefined
			? Number.NaN
			: goal.atLeast === true
				? goal.limit / value
				: value / goal.limit;
	return { figure: part(goal.figure), least: part(goal.least), most: part(goal.most) };
}
