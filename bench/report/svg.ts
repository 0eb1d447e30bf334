/**
 * What all pictures have in common: the sheet with its colours for light and dark pages, text that says how wide it will
 * be, and numbers as people write them. A picture paints its own ground, so it is legible on any page. The colours are
 * told apart by those who see few of them (Okabe and Ito), and never carry a meaning alone.
 */

export const WIDTH = 880;
export const MARGIN = 20;
export const TITLE_HEIGHT = 56;
const FONT_SIZE = 13;

/** By name, on a light page and on a dark one. */
const COLOURS = {
	ground: ["#ffffff", "#10151b"],
	ink: ["#1b1f24", "#e8edf2"],
	soft: ["#59636e", "#a5afb9"],
	grid: ["#dde2e7", "#2b333c"],
	shade: ["#e6f1f9", "#132a3c"],
	blue: ["#0067b0", "#57b1ee"],
	paleblue: ["#7fb8e0", "#28618c"],
	peer: ["#8f99a3", "#8a949e"],
	palepeer: ["#cfd6dc", "#4a535c"],
	orange: ["#c25700", "#f0a04b"],
	green: ["#00795a", "#3fc79b"],
	pink: ["#a8527f", "#dd92bb"],
	sky: ["#2c86b8", "#8fd3f7"],
	red: ["#8c2d04", "#ff8d66"],
} as const satisfies Record<string, readonly [light: string, dark: string]>;

export type Colour = keyof typeof COLOURS;

/** Lines take these in turn: a colour for each system, a dash for each of its quantities. */
export const LINE_COLOURS: readonly Colour[] = ["blue", "orange", "green", "pink", "red", "sky", "peer", "ink"];
export const LINE_DASHES: readonly string[] = ["", "7 4", "2 3", "9 3 2 3"];

/** Plain rules rather than variables, which not every program that shows SVG knows. */
function rules(page: 0 | 1): string {
	return Object.entries(COLOURS)
		.map(([name, pair]) => `.fill-${name} { fill: ${pair[page]} } .line-${name} { stroke: ${pair[page]} }`)
		.join("\n");
}

const FONT = `system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif`;

const STYLE = `
text { font: ${FONT_SIZE}px ${FONT}; }
.title { font-size: 16px; font-weight: 600; }
.strong { font-weight: 600; }
.halo { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round; }
.whisker { stroke-width: 1.5; fill: none; }
${rules(0)}
@media (prefers-color-scheme: dark) {
${rules(1)}
}
`;

/** A whole picture. `described` is for those who do not see it. */
export function sheet(height: number, title: string, subtitle: string, described: string, body: string): string {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escaped(title)}</title>
<desc>${escaped(described)}</desc>
<style>${STYLE}</style>
<rect width="${WIDTH}" height="${height}" rx="6" class="fill-ground"/>
${text(MARGIN, 28, title, "title")}
${text(MARGIN, 47, subtitle, "soft")}
${body}
</svg>
`;
}

const TEXT_CLASSES = {
	ink: "fill-ink",
	soft: "fill-soft",
	strong: "fill-ink strong",
	value: "fill-ink line-ground halo",
	strongvalue: "fill-ink strong line-ground halo",
	title: "fill-ink title",
} as const;
type TextTone = keyof typeof TEXT_CLASSES;

export function text(
	x: number,
	y: number,
	words: string,
	tone: TextTone = "ink",
	anchor: "start" | "middle" | "end" = "start",
): string {
	const place = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
	return `<text x="${at(x)}" y="${at(y)}" class="${TEXT_CLASSES[tone]}"${place}>${escaped(words)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, colour: Colour): string {
	return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="line-${colour}"/>`;
}

export function rect(x: number, y: number, width: number, height: number, colour: Colour): string {
	return `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" class="fill-${colour}"/>`;
}

/** Where something stands, to a tenth of a pixel. */
export function at(pixels: number): string {
	return String(Math.round(pixels * 10) / 10);
}

/** About how wide a text is drawn, in pixels. Rather too wide: what is too wide is cut off by the viewer. */
export function widthOf(words: string, bold = false): number {
	return words.length * FONT_SIZE * (bold ? 0.65 : 0.58);
}

/** In as many lines as it takes for none to be wider than that, if its words allow it. */
export function wrapped(words: string, width: number): readonly string[] {
	const lines: string[] = [];
	for (const word of words.split(" ")) {
		const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
		if (lines.length > 0 && widthOf(longer) <= width) {
			lines[lines.length - 1] = longer;
		} else {
			lines.push(word);
		}
	}
	return lines;
}

/** 12345.6 → "12,346"; 0.0571 → "0.0571"; three digits, or all that stand before the point. */
export function written(value: number): string {
	if (!Number.isFinite(value)) {
		return String(value);
	}
	return Math.abs(value) >= 1_000
		? Math.round(value).toLocaleString("en")
		: Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 10 });
}

function escaped(words: string): string {
	return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
