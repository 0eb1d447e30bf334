/*
 * What is published by this process itself, as one more client of the server: whole frames that the bench built, in the
 * peer's own protocol. Played closed (a burst follows when every subscriber has the last one) or paced (each message is
 * due at its time, whatever became of those before, and its latency counts from then: no coordinated omission).
 */
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAMP_BASE 1000000000000000ull
#define NO_STAMP 0xffffffffu
#define LOOK_MICROS 10000
/* What is not delivered so long after it was published is lost, and ends the measure. */
#define LIMIT_MICROS 60000000ull

/* As it comes from the bench, in this machine's order of bytes. */
struct record {
	uint32_t due_micros, publisher, subscribers, stamp_at, bytes;
	unsigned char frame[];
};

static struct record **script;
static int script_length;
/* Where `play_closed` goes on: the next call begins where the last one ended. */
static int next_record;

void read_script(int count, const unsigned char *bytes, size_t size)
{
	free(script);
	script = malloc(count * sizeof *script);
	script_length = count;
	next_record = 0;
	size_t at = 0;
	for (int i = 0; i < count; i++) {
		script[i] = (struct record *)(bytes + at);
		/* Records begin at multiples of four. */
		at += (sizeof(struct record) + script[i]->bytes + 3) & ~(size_t)3;
	}
	if (at != size) die("a script of %zu bytes ends at %zu", size, at);
}

static void stamp(struct record *record, uint64_t due)
{
	static uint64_t latest;
	if (record->stamp_at == NO_STAMP) return;
	/* No two alike, so that order can be told. */
	latest = due > latest ? due : latest + 1;
	uint64_t digits = STAMP_BASE + latest;
	for (int i = 15; i >= 0; i--, digits /= 10) record->frame[record->stamp_at + i] = '0' + digits % 10;
}

static struct connection *publisher(uint32_t index)
{
	for (int i = 0; i < connection_count; i++)
		if (!connections[i].opening->subscriber && index-- == 0) return &connections[i];
	die("no publisher %u", index);
}

/* The publishers by number; looked up once. */
static struct connection **publishers(void)
{
	uint32_t most = 0;
	for (int i = 0; i < script_length; i++)
		if (script[i]->publisher > most) most = script[i]->publisher;
	struct connection **all = malloc((most + 1) * sizeof *all);
	for (uint32_t i = 0; i <= most; i++) all[i] = publisher(i);
	return all;
}

/* One look at the sockets without sleeping, which keeps the kernel from charging the server with waking us. */
static void poll_once(void)
{
	uint64_t before = now_micros();
	if (!turn(0)) idle_since(before);
}

void compare(const struct connection *c, const unsigned char *message, size_t size)
{
	if (script_length == 0) return;
	const struct record *record = script[c->deliveries % script_length];
	if (record->stamp_at != NO_STAMP) return;
	if (size > record->bytes || memcmp(record->frame + record->bytes - size, message, size))
		die("delivery %llu is another message: %.*s", (unsigned long long)c->deliveries, (int)size, message);
}

void play_closed(int burst, int warm_ms, int measure_ms, int messages)
{
	struct connection **from = publishers();
	size_t room = 0;
	for (int i = 0; i < script_length; i++) room += script[i]->bytes;
	unsigned char *frames = malloc(room * (burst / script_length + 2));
	begin_measure();
	measured_from = 0;
	bool warm = messages == 0;
	int left = messages;
	uint64_t target = 0, looked = 0, limit = 0;
	for (;;) {
		uint64_t now = now_micros();
		if (messages > 0 && left <= 0 && tally.deliveries >= target) break;
		if (messages == 0 && now - looked >= LOOK_MICROS && tally.deliveries >= target) {
			looked = now;
			double spent = server_cpu_millis();
			if (!warm && spent >= measure_ms) break;
			if (warm && spent >= warm_ms) {
				warm = false;
				begin_measure();
				target = 0;
			}
		}
		if (tally.deliveries >= target) {
			/* As one write, so that the server can read them at once. */
			size_t size = 0;
			for (int i = 0; i < burst; i++) {
				struct record *record = script[next_record];
				next_record = (next_record + 1) % script_length;
				stamp(record, now);
				memcpy(frames + size, record->frame, record->bytes);
				size += record->bytes;
				target += subscriber_count;
			}
			left -= burst;
			push(from[0], frames, size);
			limit = now + LIMIT_MICROS;
		}
		poll_once();
		if (now > limit) break;
	}
	print_figures(target - tally.deliveries, 0);
	free(frames);
	free(from);
}

void play_paced(int warm_ms, int patience_ms)
{
	struct connection **from = publishers();
	uint64_t start = now_micros() + 1000, late = 0, target = 0, end = 0;
	begin_measure();
	bool warm = true;
	measured_from = start + (uint64_t)warm_ms * 1000;
	for (int next = 0; next < script_length || tally.deliveries < target;) {
		uint64_t now = now_micros();
		while (next < script_length && start + script[next]->due_micros <= now) {
			struct record *record = script[next++];
			uint64_t due = start + record->due_micros;
			if (warm && due >= measured_from) {
				/* What is still under way is delivered within the measure. */
				warm = false;
				target -= tally.deliveries < target ? tally.deliveries : target;
				begin_measure();
			}
			stamp(record, due);
			if (!warm && now - due > late) late = now - due;
			push(from[record->publisher], record->frame, record->bytes);
			target += record->subscribers;
			end = now + (uint64_t)patience_ms * 1000;
		}
		poll_once();
		if (next == script_length && now > end) break;
	}
	print_figures(target > tally.deliveries ? target - tally.deliveries : 0, late);
	free(from);
}

void expect(uint64_t deliveries, int warm_ms, int patience_ms)
{
	begin_measure();
	measured_from = now_micros() + (uint64_t)warm_ms * 1000;
	printf("{}\n");
	fflush(stdout);
	uint64_t end = now_micros() + (uint64_t)patience_ms * 1000;
	while (tally.deliveries < deliveries && now_micros() < end) poll_once();
	print_figures(deliveries > tally.deliveries ? deliveries - tally.deliveries : 0, 0);
}
