/** The recorded drive, and what is computed from it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recording } from "../deliveries.ts";
import { bearing, cut, distanceM, fixAt, join, type Leg, legsOf, parseGpx, type TrackPoint } from "../track.ts";

const METRES_PER_DEGREE = 111_195;

/** A drive straight north along a meridian: `[seconds, metres]`. */
function north(...points: readonly (readonly [seconds: number, metres: number])[]): readonly TrackPoint[] {
	return points.map(([seconds, metres]) => ({
		lat: metres / METRES_PER_DEGREE,
		lng: 0,
		ele: 0,
		timeMs: seconds * 1000,
	}));
}

function onlyLeg(points: readonly TrackPoint[]): Leg {
	const legs = legsOf(points);
	expect(legs).toHaveLength(1);
	return legs[0]!;
}

describe("a GPX file", () => {
	it("gives its points with place, height and time", () => {
		const text = `<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
			<trkpt lat="45.5" lon="-13.25"><ele>211.5</ele><time>2020-12-18T06:15:50Z</time></trkpt>
			</trkseg></trk></gpx>`;
		expect(parseGpx(text)).toEqual([{ lat: 45.5, lng: -13.25, ele: 211.5, timeMs: Date.UTC(2020, 11, 18, 6, 15, 50) }]);
	});

	it("without a point's time is refused", () => {
		expect(() => parseGpx(`<gpx><trkpt lat="1" lon="2"/></gpx>`)).toThrow(
			"track point 1 has no latitude, longitude or time",
		);
	});

	it("that is no XML is refused", () => {
		expect(() => parseGpx("<gpx><trkpt></gpx>")).toThrow("not well-formed");
	});
});

describe("distance and bearing", () => {
	it("of one degree north are 111.2 km and 0°", () => {
		expect(distanceM({ lat: 0, lng: 0 }, { lat: 1, lng: 0 })).toBeCloseTo(METRES_PER_DEGREE, 0);
		expect(bearing({ lat: 0, lng: 0 }, { lat: 1, lng: 0 })).toBe(0);
	});

	it("of a degree east shrink with the latitude; the bearing is 90°", () => {
		expect(distanceM({ lat: 60, lng: 0 }, { lat: 60, lng: 1 })).toBeCloseTo(METRES_PER_DEGREE / 2, -2);
		expect(bearing({ lat: 0, lng: 0 }, { lat: 0, lng: 1 })).toBeCloseTo(90, 6);
	});

	it("are the same there and back", () => {
		const place = fc.record({
			lat: fc.double({ min: -85, max: 85, noNaN: true }),
			lng: fc.double({ min: -179, max: 179, noNaN: true }),
		});
		fc.assert(fc.property(place, place, (a, b) => Math.abs(distanceM(a, b) - distanceM(b, a)) < 1e-6));
	});
});

describe("the stops of a recording", () => {
	it("cut it into legs, without what the receiver noted while the car stood", () => {
		const legs = legsOf(north([0, 0], [10, 2], [20, 4], [30, 104], [40, 204], [60, 206], [80, 204], [90, 304]));
		expect(legs.map(({ lengthM }) => Math.round(lengthM))).toEqual([200, 100]);
		expect(legs.map(({ durationMs }) => durationMs)).toEqual([20_000, 10_000]);
	});

	it("that are as short as a junction belong to the drive", () => {
		const leg = onlyLeg(north([0, 0], [10, 100], [20, 101], [30, 201]));
		expect(leg.durationMs).toBe(30_000);
	});

	it("leave of the recorded drive a way out and a shorter way back", () => {
		const [out, back, ...rest] = legsOf(recording);
		expect(rest).toEqual([]);
		expect([out?.durationMs, back?.durationMs]).toEqual([175_000, 64_000]);
		expect([Math.round(out?.lengthM ?? 0), Math.round(back?.lengthM ?? 0)]).toEqual([2063, 614]);
	});
});

describe("where the car is", () => {
	const leg = onlyLeg(north([0, 0], [10, 100], [30, 500]));

	it("between two points follows from the time", () => {
		expect(fixAt(leg, 20_000).alongM).toBeCloseTo(300, 0);
		expect(fixAt(leg, 20_000).lat).toBeCloseTo(300 / METRES_PER_DEGREE, 8);
		expect(fixAt(leg, 20_000).speed).toBeCloseTo(20, 1);
	});

	it("says how far and how long remain", () => {
		expect(fixAt(leg, 10_000).remainingM).toBeCloseTo(400, 0);
		expect(fixAt(leg, 10_000).remainingMs).toBe(20_000);
	});

	it("is the start before the drive and the end after it, standing", () => {
		expect(fixAt(leg, -1).alongM).toBe(0);
		expect(fixAt(leg, 99_000)).toMatchObject({ remainingM: 0, remainingMs: 0, speed: 0 });
	});

	it("never goes back along the recorded drive, and its remaining time falls", () => {
		const [out] = legsOf(recording);
		const moment = fc.double({ min: -1000, max: 200_000, noNaN: true });
		fc.assert(
			fc.property(moment, moment, (a, b) => {
				const [earlier, later] = [fixAt(out!, Math.min(a, b)), fixAt(out!, Math.max(a, b))];
				return earlier.alongM <= later.alongM && earlier.remainingMs >= later.remainingMs;
			}),
		);
	});
});

describe("legs", () => {
	const leg = onlyLeg(north([0, 0], [10, 100], [20, 200]));

	it("joined are as long as both and the way between", () => {
		const joined = join(leg, onlyLeg(north([0, 220], [10, 320])));
		expect(joined.lengthM).toBeCloseTo(320, 0);
		expect(joined.durationMs).toBeCloseTo(32_000, -1);
	});

	it("cut begin and end where they were cut", () => {
		expect(cut(leg, 50, 150)).toMatchObject({ points: [{ atMs: 0, alongM: 0 }, {}, {}] });
		expect(cut(leg, 50, 150).lengthM).toBeCloseTo(100, 6);
		expect(cut(leg, 50, 150).durationMs).toBeCloseTo(10_000, -1);
		expect(cut(leg, -1, 5000)).toEqual(leg);
	});
});
