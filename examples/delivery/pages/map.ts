/**
 * The map: a drawing of coordinates in SVG, with no tiles and no network. Roads, the route with its travelled part,
 * both ends, a scale, and the car, which glides from each reported place to the next. It knows nothing of connections.
 */

/** A place with latitude and longitude in degrees. */
export type Place = readonly [lat: number, lng: number];

export interface MapInput {
	/** Everything that is drawn as a road. */
	readonly roads: readonly Place[];
	/** The way of this delivery, from its start to the customer. */
	readonly route: readonly Place[];
	readonly lengthM: number;
}

/** Where the car is to be drawn. */
export interface CarState {
	readonly lat: number;
	readonly lng: number;
	readonly heading: number;
	readonly travelled: number;
}

export interface DeliveryMap {
	/** Glides to this state; with `jump` it is simply there. */
	move(state: CarState, jump: boolean): void;
}

/** Of the sphere; a map of a few kilometres needs no better projection than metres east and south of a corner. */
const METRES_PER_DEGREE = 111_195;
const SCALE_STEPS_M = [50, 100, 200, 500, 1000, 2000, 5000];
/** How long a glide takes: the time between the last two reports, within these bounds. */
const GLIDE_MS = { least: 80, most: 1200 };

export function drawMap(svg: SVGSVGElement, input: MapInput): DeliveryMap {
	const still = element("g", { class: "still" });
	const travelled = element("path", { class: "travelled", pathLength: input.lengthM });
	const car = element("g", { class: "car" });
	car.append(
		element("circle", { class: "halo", r: 26 }),
		// Seen from above, nose to the north: body, glass, lamps.
		element("rect", { class: "body", x: -8, y: -15, width: 16, height: 30, rx: 5.5 }),
		element("path", { class: "glass", d: "M-5.5-5.500Q0-9 5.5-5.500L5-1.500Q0-3.5-5-1.500Z" }),
		element("path", { class: "glass", d: "M-4.8 8.500Q0 10.5 4.8 8.500L4.5 6Q0 7.5-4.5 6Z" }),
		element("path", { class: "lamps", d: "M-5.5-14h3M2.5-14h3" }),
	);
	svg.append(still, car);

	let project = projection(svg, input);
	let shown: CarState | undefined;
	let from: CarState | undefined;
	let to: CarState | undefined;
	let startedAt = 0;
	let reportedAt = 0;
	let glideMs = GLIDE_MS.least;
	let frame = 0;

	const place = (state: CarState): void => {
		shown = state;
		const [x, y] = project([state.lat, state.lng]);
		car.setAttribute(
			"transform",
			`translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${state.heading.toFixed(1)}) scale(1.15)`,
		);
		travelled.style.strokeDasharray = `${state.travelled.toFixed(1)} ${input.lengthM * 2}`;
	};
	const step = (now: number): void => {
		if (from === undefined || to === undefined) {
			return;
		}
		const share = Math.min(1, (now - startedAt) / glideMs);
		place(between(from, to, share));
		frame = share < 1 ? requestAnimationFrame(step) : 0;
	};
	const drawStill = (): void => {
		project = projection(svg, input);
		still.replaceChildren(...stillParts(svg, input, project, travelled));
		if (shown !== undefined) {
			place(shown);
		}
	};
	new ResizeObserver(drawStill).observe(svg);
	drawStill();

	return {
		move(state, jump) {
			const now = performance.now();
			cancelAnimationFrame(frame);
			svg.classList.add("has-car");
			// A hidden page draws no frames; whoever returns to it wants the present, not a replay.
			if (jump || shown === undefined || document.hidden) {
				place(state);
			} else {
				glideMs = Math.min(Math.max(now - reportedAt, GLIDE_MS.least), GLIDE_MS.most);
				[from, to, startedAt] = [shown, state, now];
				frame = requestAnimationFrame(step);
			}
			reportedAt = now;
		},
	};
}

/** Everything that moves only when the window changes. */
function stillParts(
	svg: SVGSVGElement,
	input: MapInput,
	project: Projection,
	travelled: SVGElement,
): readonly SVGElement[] {
	const route = pathOf(input.route, project);
	travelled.setAttribute("d", route);
	const roads = pathOf(input.roads, project);
	return [
		grid(svg, project.pixelsPerMetre),
		element("path", { class: "road-edge", d: roads }),
		element("path", { class: "road", d: roads }),
		element("path", { class: "route", d: route }),
		travelled,
		startMark(project(input.route[0] as Place)),
		endPin(project(input.route.at(-1) as Place)),
		scaleBar(svg, project.pixelsPerMetre),
		northArrow(svg),
	];
}

interface Projection {
	(place: Place): readonly [x: number, y: number];
	readonly pixelsPerMetre: number;
}

/** Fits roads and route into what of the drawing is not under the card (CSS says how much that is). */
function projection(svg: SVGSVGElement, input: MapInput): Projection {
	const { width, height } = svg.getBoundingClientRect();
	svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
	const style = getComputedStyle(svg);
	const covered = (name: string): number => Number.parseFloat(style.getPropertyValue(name)) || 0;
	const margin = Math.max(44, Math.min(width, height) * 0.09);
	const box = {
		left: covered("--covered-left") + margin,
		top: margin + 16,
		right: width - margin,
		bottom: height - covered("--covered-bottom") - margin,
	};
	const all = [...input.roads, ...input.route];
	const lats = all.map(([lat]) => lat);
	const lngs = all.map(([, lng]) => lng);
	const [south, north, west, east] = [Math.min(...lats), Math.max(...lats), Math.min(...lngs), Math.max(...lngs)];
	const metresPerLng = METRES_PER_DEGREE * Math.cos((((south + north) / 2) * Math.PI) / 180);
	const [spanX, spanY] = [(east - west) * metresPerLng, (north - south) * METRES_PER_DEGREE];
	const pixelsPerMetre = Math.max(0.001, Math.min((box.right - box.left) / spanX, (box.bottom - box.top) / spanY));
	const left = (box.left + box.right - spanX * pixelsPerMetre) / 2;
	const top = (box.top + box.bottom - spanY * pixelsPerMetre) / 2;
	const project = ([lat, lng]: Place): readonly [number, number] => [
		left + (lng - west) * metresPerLng * pixelsPerMetre,
		top + (north - lat) * METRES_PER_DEGREE * pixelsPerMetre,
	];
	return Object.assign(project, { pixelsPerMetre });
}

function pathOf(places: readonly Place[], project: Projection): string {
	return places
		.map(
			(place, index) =>
				`${index === 0 ? "M" : "L"}${project(place)
					.map((v) => v.toFixed(1))
					.join(" ")}`,
		)
		.join("");
}

function grid(svg: SVGSVGElement, pixelsPerMetre: number): SVGElement {
	const { width, height } = svg.getBoundingClientRect();
	const step = 100 * pixelsPerMetre * (pixelsPerMetre < 0.3 ? 2 : 1);
	let d = "";
	for (let x = step; x < width; x += step) {
		d += `M${x.toFixed(1)} 0V${height}`;
	}
	for (let y = step; y < height; y += step) {
		d += `M0 ${y.toFixed(1)}H${width}`;
	}
	return element("path", { class: "grid", d });
}

function startMark([x, y]: readonly [number, number]): SVGElement {
	return element("circle", { class: "start", cx: x, cy: y, r: 7 });
}

function endPin([x, y]: readonly [number, number]): SVGElement {
	const pin = element("g", { class: "end", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
	pin.append(
		element("ellipse", { class: "shadow", cx: 0, cy: 1, rx: 8, ry: 3.5 }),
		element("path", { class: "pin", d: "M0 0C-4-7-15-14-15-26A15 15 0 0 1 15-26C15-14 4-7 0 0Z" }),
		element("path", { class: "house", d: "M-7.5-25.5 0-32.5 7.5-25.500M-5-27v7.500H5V-27" }),
	);
	return pin;
}

function scaleBar(svg: SVGSVGElement, pixelsPerMetre: number): SVGElement {
	const { width, height } = svg.getBoundingClientRect();
	const covered = Number.parseFloat(getComputedStyle(svg).getPropertyValue("--covered-bottom")) || 0;
	const metres = SCALE_STEPS_M.findLast((step) => step * pixelsPerMetre <= 130) ?? (SCALE_STEPS_M[0] as number);
	const pixels = metres * pixelsPerMetre;
	const group = element("g", {
		class: "scale",
		transform: `translate(${width - 20 - pixels} ${height - covered - 20})`,
	});
	const label = element("text", { x: pixels / 2, y: -9, "text-anchor": "middle" });
	label.textContent = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
	group.append(element("path", { d: `M0-5V0H${pixels}V-5` }), label);
	return group;
}

function northArrow(svg: SVGSVGElement): SVGElement {
	const { width } = svg.getBoundingClientRect();
	const group = element("g", { class: "north", transform: `translate(${width - 32} 36)` });
	const label = element("text", { x: 0, y: 19, "text-anchor": "middle" });
	label.textContent = "N";
	group.append(element("path", { d: "M0-14 5 2 0-1-5 2Z" }), label);
	return group;
}

function between(a: CarState, b: CarState, share: number): CarState {
	const mix = (x: number, y: number): number => x + (y - x) * share;
	// The shorter way round: from 350° to 10° the car turns by 20°, not by 340°.
	const turn = ((b.heading - a.heading + 540) % 360) - 180;
	return {
		lat: mix(a.lat, b.lat),
		lng: mix(a.lng, b.lng),
		heading: a.heading + turn * share,
		travelled: mix(a.travelled, b.travelled),
	};
}

function element(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
	const made = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes)) {
		made.setAttribute(key, String(value));
	}
	return made;
}
