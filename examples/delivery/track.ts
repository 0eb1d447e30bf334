/**
 * A recorded drive: points out of a GPX file, cut into legs, measured along the road, and read at any moment. Pure; it
 * knows no clock, no order and no channel. It is not a router: what remains of a drive is what was recorded of it.
 */
import { DOMParser } from "@xmldom/xmldom";

/** One fix of the receiver. */
export interface TrackPoint {
	readonly lat: number;
	readonly lng: number;
	/** Metres above the sea. */
	readonly ele: number;
	/** Milliseconds since 1970. */
	readonly timeMs: number;
}

/** A drive without stops, with how far along it and how long after its start each point lies. Both never fall. */
export interface Leg {
	readonly points: readonly LegPoint[];
	readonly lengthM: number;
	readonly durationMs: number;
}

export interface LegPoint {
	readonly lat: number;
	readonly lng: number;
	readonly ele: number;
	readonly atMs: number;
	readonly alongM: number;
}

/** Where the car is on a leg at one moment. */
export interface Fix {
	readonly lat: number;
	readonly lng: number;
	/** Degrees clockwise from north. */
	readonly heading: number;
	/** Metres a second. */
	readonly speed: number;
	readonly alongM: number;
	readonly remainingM: number;
	readonly remainingMs: number;
}

/** How a stop is told from driving. Below walking pace is standing: a receiver at rest wanders by a few metres. */
export interface StopRule {
	/** Metres a second. Higher where the receiver is noisier. */
	readonly walkingSpeed: number;
	/** A shorter halt (a junction, a gate) belongs to the drive. */
	readonly shortestMs: number;
}

const STOP_RULE: StopRule = { walkingSpeed: 1.5, shortestMs: 15_000 };

const EARTH_RADIUS_M = 6_371_008.8;
/** The road ahead that a heading looks at; shorter than this, GPS noise turns the car. */
const HEADING_LOOK_M = 12;

/** The points of all tracks of a GPX 1.1 document, in order. Throws where it is not one, or a point lacks place or time. */
export function parseGpx(text: string): readonly TrackPoint[] {
	const document = new DOMParser({
		onError: (level, message) => {
			throw new SyntaxError(`the GPX file is not well-formed XML (${level}): ${message}`);
		},
	}).parseFromString(text, "text/xml");
	const points: TrackPoint[] = [];
	for (const element of document.getElementsByTagName("trkpt")) {
		const child = (name: string): string => element.getElementsByTagName(name)[0]?.textContent ?? "";
		const point: TrackPoint = {
			lat: Number.parseFloat(element.getAttribute("lat") ?? ""),
			lng: Number.parseFloat(element.getAttribute("lon") ?? ""),
			ele: Number.parseFloat(child("ele") || "0"),
			timeMs: Date.parse(child("time")),
		};
		if (!Object.values(point).every(Number.isFinite)) {
			throw new RangeError(`track point ${points.length + 1} has no latitude, longitude or time`);
		}
		points.push(point);
	}
	return points;
}

/** Metres between two places on a sphere (haversine). At 300 m the error against the ellipsoid is under 2 m. */
export function distanceM(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
	const sinLat = Math.sin(radians(b.lat - a.lat) / 2);
	const sinLng = Math.sin(radians(b.lng - a.lng) / 2);
	const h = sinLat * sinLat + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * sinLng * sinLng;
	return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Degrees clockwise from north, in which `b` lies from `a`. */
export function bearing(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
	const dLng = radians(b.lng - a.lng);
	const y = Math.sin(dLng) * Math.cos(radians(b.lat));
	const x =
		Math.cos(radians(a.lat)) * Math.sin(radians(b.lat)) -
		Math.sin(radians(a.lat)) * Math.cos(radians(b.lat)) * Math.cos(dLng);
	return ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
}

/** Cuts a recording at its stops. What the receiver noted while the car stood, before, between and after, is dropped. */
export function legsOf(points: readonly TrackPoint[], rule: StopRule = STOP_RULE): readonly Leg[] {
	const legs: Leg[] = [];
	let start = 0;
	let slowSince: number | undefined;
	const take = (from: number, to: number): void => {
		if (to > from) {
			legs.push(measure(points.slice(from, to + 1)));
		}
	};
	for (let i = 1; i <= points.length; i++) {
		const [a, b] = [points[i - 1] as TrackPoint, points[i]];
		const slow = b !== undefined && distanceM(a, b) < (rule.walkingSpeed * (b.timeMs - a.timeMs)) / 1000;
		if (slow) {
			slowSince ??= i - 1;
			continue;
		}
		if (slowSince !== undefined && a.timeMs - (points[slowSince] as TrackPoint).timeMs >= rule.shortestMs) {
			take(start, slowSince);
			start = i - 1;
		}
		slowSince = undefined;
	}
	take(start, points.length - 1);
	return legs;
}

/** One leg after the other. The way from the end of one to the start of the next is driven at the first one's pace. */
export function join(first: Leg, second: Leg): Leg {
	const [end, begin] = [last(first), second.points[0] as LegPoint];
	const gapM = distanceM(end, begin);
	const gapMs = (gapM / first.lengthM) * first.durationMs;
	const moved = second.points.map((point) => ({
		...point,
		atMs: point.atMs + end.atMs + gapMs,
		alongM: point.alongM + end.alongM + gapM,
	}));
	return asLeg([...first.points, ...moved]);
}

/** The part of a leg between two places along it. */
export function cut(leg: Leg, fromM: number, toM: number): Leg {
	const [start, end] = [placeAt(leg, fromM), placeAt(leg, toM)];
	const inside = leg.points.filter(({ alongM }) => alongM > start.alongM && alongM < end.alongM);
	return asLeg(
		[start, ...inside, end].map((point) => ({
			...point,
			atMs: point.atMs - start.atMs,
			alongM: point.alongM - start.alongM,
		})),
	);
}

/** Where the car is `atMs` after the start of the leg: on the line between the two recorded points around that moment. */
export function fixAt(leg: Leg, atMs: number): Fix {
	const ms = Math.min(Math.max(atMs, 0), leg.durationMs);
	// The first point after the moment; the last one for the leg's end.
	const found = leg.points.findIndex((point) => point.atMs > ms);
	const index = found === -1 ? leg.points.length - 1 : Math.max(found, 1);
	const [a, b] = [leg.points[index - 1] as LegPoint, leg.points[index] as LegPoint];
	const share = b.atMs === a.atMs ? 1 : (ms - a.atMs) / (b.atMs - a.atMs);
	const { lat, lng, alongM } = between(a, b, share);
	return {
		lat,
		lng,
		alongM,
		heading: headingAt(leg, alongM),
		speed: atMs >= leg.durationMs ? 0 : ((b.alongM - a.alongM) / (b.atMs - a.atMs)) * 1000,
		remainingM: leg.lengthM - alongM,
		remainingMs: leg.durationMs - ms,
	};
}

function headingAt(leg: Leg, alongM: number): number {
	const behind = Math.min(alongM, leg.lengthM - HEADING_LOOK_M);
	return bearing(placeAt(leg, behind), placeAt(leg, behind + HEADING_LOOK_M));
}

/** The place so far along a leg; its start before, its end after. */
function placeAt(leg: Leg, alongM: number): LegPoint {
	const index = leg.points.findIndex((point) => point.alongM > alongM);
	if (index <= 0) {
		return index === 0 ? (leg.points[0] as LegPoint) : last(leg);
	}
	const [a, b] = [leg.points[index - 1] as LegPoint, leg.points[index] as LegPoint];
	return between(a, b, (alongM - a.alongM) / (b.alongM - a.alongM));
}

function between(a: LegPoint, b: LegPoint, share: number): LegPoint {
	const mix = (from: number, to: number): number => from + (to - from) * share;
	return {
		lat: mix(a.lat, b.lat),
		lng: mix(a.lng, b.lng),
		ele: mix(a.ele, b.ele),
		atMs: mix(a.atMs, b.atMs),
		alongM: mix(a.alongM, b.alongM),
	};
}

function measure(points: readonly TrackPoint[]): Leg {
	const startMs = (points[0] as TrackPoint).timeMs;
	let alongM = 0;
	return asLeg(
		points.map(({ lat, lng, ele, timeMs }, index) => {
			const before = points[index - 1];
			alongM += before === undefined ? 0 : distanceM(before, { lat, lng });
			return { lat, lng, ele, atMs: timeMs - startMs, alongM };
		}),
	);
}

function asLeg(points: readonly LegPoint[]): Leg {
	const { alongM, atMs } = points.at(-1) as LegPoint;
	return { points, lengthM: alongM, durationMs: atMs };
}

function last(leg: Leg): LegPoint {
	return leg.points.at(-1) as LegPoint;
}

function radians(degrees: number): number {
	return (degrees * Math.PI) / 180;
}
