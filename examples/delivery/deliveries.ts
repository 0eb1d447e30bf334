/**
 * Today's deliveries: which order is driven along which part of the recording, and where each car is at a moment of
 * the show. Pure. Both orders are on their way at once, in different places, so that a mix-up would be seen.
 */
import { readFileSync } from "node:fs";
import type { Position } from "./contract.ts";
import { cut, fixAt, join, type Leg, legsOf, parseGpx, type TrackPoint } from "./track.ts";

export interface Delivery {
	readonly orderId: string;
	readonly what: string;
	readonly driver: string;
	readonly car: string;
	readonly leg: Leg;
	/** How much of the first drive is already behind the car when the show begins, 0 to 1. */
	readonly headStart: number;
}

/** The whole recording, the way the receiver wrote it. */
export const recording: readonly TrackPoint[] = parseGpx(
	readFileSync(new URL("track/car-around-visnjan.gpx", import.meta.url), "utf8"),
);

const [out, back] = legsOf(recording);
if (out === undefined || back === undefined) {
	throw new RangeError("the recording has fewer than two legs");
}

/** Between the two legs the recorded car left the road to park; order 456 passes by. */
const PARKING_M = 20;

/** By order id. Order 123 is the recorded way out; order 456 the way back, and from there the way out again. */
export const deliveries: ReadonlyMap<string, Delivery> = new Map(
	[
		{ orderId: "123", what: "Two loaves and a fig cake", driver: "Ana", car: "blue van", leg: out, headStart: 0 },
		{
			orderId: "456",
			what: "A crate of apples",
			driver: "Luka",
			car: "blue estate car",
			leg: join(cut(back, 0, back.lengthM - PARKING_M), cut(out, PARKING_M, 1320)),
			headStart: 0.2,
		},
	].map((delivery) => [delivery.orderId, delivery]),
);

/** How the recording is played. */
export interface Pace {
	/** 1 is the recorded pace. */
	readonly speed: number;
	/** How long a car stands at the customer's door before the delivery begins afresh. */
	readonly restMs: number;
}

/** What the driver of a delivery knows `elapsedMs` after the show began. `sentAt` and `heard` are the program's to add. */
export function positionAt(delivery: Delivery, elapsedMs: number, pace: Pace): Omit<Position, "sentAt" | "heard"> {
	const driveMs = delivery.leg.durationMs / pace.speed;
	const sinceFirst = elapsedMs + delivery.headStart * driveMs;
	const inTripMs = sinceFirst % (driveMs + pace.restMs);
	const fix = fixAt(delivery.leg, inTripMs * pace.speed);
	const etaSeconds = Math.ceil(fix.remainingMs / pace.speed / 1000);
	return {
		lat: round(fix.lat, 6),
		lng: round(fix.lng, 6),
		eta: etaText(etaSeconds),
		etaSeconds,
		heading: round(fix.heading, 0) % 360,
		speed: round(fix.speed * pace.speed, 1),
		travelled: round(fix.alongM, 1),
		remaining: round(fix.remainingM, 1),
		trip: Math.floor(sinceFirst / (driveMs + pace.restMs)) + 1,
	};
}

/** An arrival in words. Seconds would promise what no driver can keep. */
export function etaText(seconds: number): string {
	if (seconds <= 0) {
		return "arrived";
	}
	if (seconds < 30) {
		return "a moment";
	}
	const minutes = Math.round(seconds / 60);
	return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

function round(value: number, digits: number): number {
	return Number(value.toFixed(digits));
}
