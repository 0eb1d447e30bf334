/** Horizontal bars that begin at zero, in groups, with whiskers from the least to the most of the rounds. Pure. */
import { linearAxis } from "./axis.ts";
import { at, line, MARGIN, rect, sheet, TITLE_HEIGHT, text, WIDTH, widthOf, written } from "./svg.ts";

export interface Bar {
	readonly label: string;
	/** null: not measured; said, not drawn. */
	readonly value: number | null;
	readonly least?: number | undefined;
	readonly most?: number | undefined;
	/** A part of the value, drawn darker, from zero on. */
	readonly part?: number | undefined;
	/** Ours. */
	readonly marked: boolean;
}

export interface BarGroup {
	readonly label: string;
	readonly bars: readonly Bar[];
}

export interface BarChart {
	readonly title: string;
	readonly unit: string;
	readonly groups: readonly BarGroup[];
	/** What the darker part and the rest are. */
	readonly parts?: readonly [part: string, rest: string] | undefined;
}

const BAR = 18;
const STEP = 24;
const GROUP_HEAD = 30;
const AXIS_HEIGHT = 44;
const LEGEND_HEIGHT = 26;

export function drawBars({ title, unit, groups, parts }: BarChart): string {
	const bars = groups.flatMap((group) => group.bars);
	const hasSpread = bars.some(({ least, most }) => least !== undefined && most !== undefined && most > least);
	const left = MARGIN + Math.max(...bars.map(({ label, marked }) => widthOf(label, marked))) + 10;
	// Room for the value behind the longest bar.
	const right = WIDTH - MARGIN - 64;
	const axis = linearAxis(Math.max(...bars.map(({ value, most }) => Math.max(value ?? 0, most ?? 0))), 7, true);
	const x = (value: number): number => left + axis.place(value) * (right - left);
	const top = TITLE_HEIGHT + (parts === undefined ? 4 : LEGEND_HEIGHT);
	const drawn: string[] = [];
	let y = top;
	for (const group of groups) {
		if (group.label !== "") {
			drawn.push(text(MARGIN, y + 20, group.label, "strong"));
			y += GROUP_HEAD;
		}
		const end = y + group.bars.length * STEP;
		drawn.push(...axis.ticks.map((tick) => line(x(tick), y - 3, x(tick), end, tick === 0 ? "soft" : "grid")));
		for (const bar of group.bars) {
			drawn.push(...drawBar(bar, y, left, x));
			y += STEP;
		}
		y += 6;
	}
	const marks = axis.ticks.map((tick) => text(x(tick), y + 12, written(tick), "soft", "middle"));
	const foot = text((left + right) / 2, y + 32, unit, "soft", "middle");
	const subtitle = hasSpread ? "median of the rounds; whiskers: the least and the most" : "median of the rounds";
	const legend = parts === undefined ? [] : drawLegend(parts);
	const described = groups
		.map((group) => `${group.label}: ${group.bars.map((bar) => `${bar.label} ${writtenValue(bar)}`).join(", ")}`)
		.join("; ");
	return sheet(
		y + AXIS_HEIGHT,
		title,
		subtitle,
		`${unit}. ${described}`,
		[...legend, ...drawn, ...marks, foot].join("\n"),
	);
}

function drawBar(bar: Bar, y: number, left: number, x: (value: number) => number): readonly string[] {
	const { label, value, least, most, part, marked } = bar;
	const middle = y + BAR / 2;
	const name = text(left - 10, middle + 5, label, marked ? "strong" : "ink", "end");
	if (value === null) {
		return [name, text(left + 6, middle + 5, "not measured", "soft")];
	}
	const [dark, pale] = marked ? (["blue", "paleblue"] as const) : (["peer", "palepeer"] as const);
	const whole = rect(left, y, Math.max(1, x(value) - left), BAR, part === undefined ? dark : pale);
	const inner = part === undefined ? "" : rect(left, y, Math.max(0, x(part) - left), BAR, dark);
	const spread = least === undefined || most === undefined || most <= least ? "" : whisker(x(least), x(most), middle);
	const end = Math.max(x(value), most === undefined ? 0 : x(most)) + 8;
	return [name, whole, inner, spread, text(end, middle + 5, writtenValue(bar), marked ? "strongvalue" : "value")];
}

function whisker(from: number, to: number, y: number): string {
	return `<path class="whisker line-ink" d="M${at(from)} ${at(y - 4)}v8m0 -4H${at(to)}m0 -4v8"/>`;
}

function drawLegend([part, rest]: readonly [string, string]): readonly string[] {
	const y = TITLE_HEIGHT + 4;
	const second = MARGIN + 20 + widthOf(part) + 20;
	return [
		rect(MARGIN, y, 14, 14, "peer"),
		text(MARGIN + 20, y + 12, part, "soft"),
		rect(second, y, 14, 14, "palepeer"),
		text(second + 20, y + 12, rest, "soft"),
	];
}

function writtenValue({ value }: Bar): string {
	return value === null ? "not measured" : written(value);
}
