/** Lines over time, or over another quantity, each with a colour and a dash of its own and a name in the legend. Pure. */
import { type Axis, linearAxis, logAxis, spansDecades } from "./axis.ts";
import {
	at,
	type Colour,
	LINE_COLOURS,
	LINE_DASHES,
	line,
	MARGIN,
	sheet,
	TITLE_HEIGHT,
	text,
	WIDTH,
	widthOf,
	written,
} from "./svg.ts";

export interface Line {
	readonly name: string;
	readonly x: readonly number[];
	readonly y: readonly number[];
	/** Ours: drawn thicker. */
	readonly marked: boolean;
}

export interface LineChart {
	readonly title: string;
	readonly subtitle: string;
	readonly xLabel: string;
	readonly yUnit: string;
	readonly lines: readonly Line[];
}

const PLOT_HEIGHT = 300;
const LEGEND_STEP = 22;
const SAMPLE = 34;

export function drawLines({ title, subtitle, xLabel, yUnit, lines }: LineChart): string {
	const allX = lines.flatMap(({ x }) => x);
	const allY = lines.flatMap(({ y }) => y);
	// Few points far apart are a sweep over sizes; a course of time is even.
	const horizontal = spansDecades(allX)
		? logAxis(Math.min(...allX), Math.max(...allX))
		: linearAxis(Math.max(...allX), 9, true);
	const vertical = linearAxis(Math.max(...allY));
	const styles = stylesOf(lines);
	const legend = placeLegend(lines);
	const left = MARGIN + Math.max(...vertical.ticks.map((tick) => widthOf(written(tick)))) + 8;
	const right = WIDTH - MARGIN - 16;
	const top = TITLE_HEIGHT + legend.height + 26;
	const bottom = top + PLOT_HEIGHT;
	const x = (value: number): number => left + horizontal.place(value) * (right - left);
	const y = (value: number): number => bottom - vertical.place(value) * PLOT_HEIGHT;
	const body = [
		...legend.places.map(([legendX, legendY], index) => drawSample(lines[index]!, styles[index]!, legendX, legendY)),
		text(left, top - 10, yUnit, "soft"),
		...drawGrid(horizontal, vertical, { left, right, top, bottom }, x, y),
		...lines.map((one, index) => drawLine(one, styles[index]!, x, y)),
		text((left + right) / 2, bottom + 40, xLabel, "soft", "middle"),
	];
	const described = lines
		.map((one) => `${one.name}: ${written(one.y[0] ?? 0)} to ${written(one.y.at(-1) ?? 0)}`)
		.join("; ");
	return sheet(bottom + 52, title, subtitle, `${yUnit} by ${xLabel}. ${described}`, body.join("\n"));
}

interface Plot {
	readonly left: number;
	readonly right: number;
	readonly top: number;
	readonly bottom: number;
}

function drawGrid(
	horizontal: Axis,
	vertical: Axis,
	{ left, right, top, bottom }: Plot,
	x: (value: number) => number,
	y: (value: number) => number,
): readonly string[] {
	return [
		...vertical.ticks.flatMap((tick) => [
			line(left, y(tick), right, y(tick), tick === 0 ? "soft" : "grid"),
			text(left - 8, y(tick) + 4.5, written(tick), "soft", "end"),
		]),
		...horizontal.ticks.flatMap((tick) => [
			line(x(tick), top, x(tick), bottom, "grid"),
			text(x(tick), bottom + 19, written(tick), "soft", "middle"),
		]),
	];
}

function drawLine(
	{ x: xs, y: ys, marked }: Line,
	style: Style,
	x: (v: number) => number,
	y: (v: number) => number,
): string {
	const points = xs.map((value, at) => [x(value), y(ys[at]!)] as const);
	const path = points.map(([px, py], at_) => `${at_ === 0 ? "M" : "L"}${at(px)} ${at(py)}`).join("");
	// A few points are measurements that one wants to see; many are a course.
	const dots =
		points.length > 30
			? ""
			: points.map(([px, py]) => `<circle cx="${at(px)}" cy="${at(py)}" r="3" class="fill-${style.colour}"/>`).join("");
	return `<path d="${path}" ${strokeOf(style, marked)}/>${dots}`;
}

function drawSample({ name, marked }: Line, style: Style, x: number, y: number): string {
	const stroke = `<path d="M${at(x)} ${at(y - 4)}h${SAMPLE - 8}" ${strokeOf(style, marked)}/>`;
	return stroke + text(x + SAMPLE, y, name, marked ? "strong" : "ink");
}

interface Style {
	readonly colour: Colour;
	readonly dash: string;
}

/** Of lines that are called "system: quantity" each system has a colour and each quantity a dash; of others each both. */
function stylesOf(lines: readonly Line[]): readonly Style[] {
	const systems = [...new Set(lines.map(({ name }) => name.split(": ")[0]))];
	const quantities = [...new Set(lines.map(({ name }) => name.split(": ")[1]))];
	return lines.map(({ name }) => {
		const [system, quantity] = name.split(": ");
		const first = systems.indexOf(system);
		const second = quantities.length === 1 ? first : quantities.indexOf(quantity);
		return {
			colour: LINE_COLOURS[first % LINE_COLOURS.length]!,
			dash: LINE_DASHES[second % LINE_DASHES.length]!,
		};
	});
}

function strokeOf({ colour, dash }: Style, marked: boolean): string {
	const dashes = dash === "" ? "" : ` stroke-dasharray="${dash}"`;
	return `fill="none" class="line-${colour}" stroke-width="${marked ? 3 : 1.8}" stroke-linejoin="round"${dashes}`;
}

/** One behind the other, in as many rows as it takes. */
function placeLegend(lines: readonly Line[]): {
	readonly places: readonly (readonly [number, number])[];
	readonly height: number;
} {
	let x = MARGIN;
	let y = TITLE_HEIGHT + 16;
	const places = lines.map(({ name, marked }) => {
		const width = SAMPLE + widthOf(name, marked) + 18;
		if (x > MARGIN && x + width > WIDTH - MARGIN) {
			x = MARGIN;
			y += LEGEND_STEP;
		}
		const place = [x, y] as const;
		x += width;
		return place;
	});
	return { places, height: y - TITLE_HEIGHT + 8 };
}
