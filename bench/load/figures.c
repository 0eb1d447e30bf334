/*
 * What is measured: the server's CPU time and both processes' time in line for a core, from /proc; latencies in a
 * histogram with buckets of one part in 128; the part of the time in which the load had nothing to do.
 */
#include "load.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAMP_BASE 1000000000000000ull
#define SUB_BITS 7
#define BUCKETS (64 << SUB_BITS)

struct cpu {
	long user, system;
};

struct tally tally;
int server;
uint64_t measured_from;

static uint64_t buckets[BUCKETS], stamped, slowest;
static uint64_t began, idle;
static struct cpu cpu_before;
static double server_waited_before, load_waited_before;

static char *read_file(const char *path)
{
	static char text[1024];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0) close(fd);
	text[n < 0 ? 0 : n] = 0;
	return text;
}

static struct cpu server_cpu(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", server);
	char *at = strrchr(read_file(path), ')');
	if (!at) die("the server is gone");
	/* After the name in parentheses: state and ten fields, then utime and stime. */
	at += 2;
	for (int field = 0; field < 11; field++) at = strchr(at, ' ') + 1;
	struct cpu cpu;
	sscanf(at, "%ld %ld", &cpu.user, &cpu.system);
	return cpu;
}

double server_cpu_millis(void)
{
	struct cpu cpu = server_cpu();
	return (cpu.user - cpu_before.user + cpu.system - cpu_before.system) * 1000.0 / sysconf(_SC_CLK_TCK);
}

/* Milliseconds for which the main thread was ready to run and something else ran. */
static double waited(const char *process)
{
	char path[64];
	unsigned long long ran, stood = 0;
	snprintf(path, sizeof path, "/proc/%s/schedstat", process);
	sscanf(read_file(path), "%llu %llu", &ran, &stood);
	return stood / 1e6;
}

static double server_waited(void)
{
	char pid[16];
	snprintf(pid, sizeof pid, "%d", server);
	return waited(pid);
}

static int bucket_of(uint64_t micros)
{
	int shift = 0;
	while (micros >> shift >= 2 << SUB_BITS) shift++;
	return (shift << SUB_BITS) + (micros >> shift);
}

static double middle_of(int bucket)
{
	int shift = 0;
	while (bucket - (shift << SUB_BITS) >= 2 << SUB_BITS) shift++;
	return ((uint64_t)(bucket - (shift << SUB_BITS)) << shift) + (shift ? (1ull << shift) / 2.0 : 0);
}

void latency(uint64_t stamp)
{
	uint64_t due = stamp - STAMP_BASE, now = now_micros();
	if (due < measured_from || now < due) return;
	uint64_t micros = now - due;
	buckets[bucket_of(micros)]++;
	stamped++;
	if (micros > slowest) slowest = micros;
}

void begin_measure(void)
{
	memset(buckets, 0, sizeof buckets);
	memset(&tally, 0, sizeof tally);
	stamped = slowest = idle = 0;
	cpu_before = server_cpu();
	server_waited_before = server_waited();
	load_waited_before = waited("self");
	began = now_micros();
}

void idle_since(uint64_t micros)
{
	idle += now_micros() - micros;
}

/* Milliseconds below which so much of all latencies lies. */
static double percentile(double part)
{
	uint64_t rank = part * stamped, seen = 0;
	for (int i = 0; i < BUCKETS; i++) {
		seen += buckets[i];
		if (seen > rank) return middle_of(i) / 1000;
	}
	return slowest / 1000.0;
}

void print_figures(uint64_t lost, uint64_t late_micros)
{
	double elapsed = now_micros() - began;
	struct cpu after = server_cpu();
	double tick = 1e6 / sysconf(_SC_CLK_TCK);
	printf("{\"deliveries\":%llu,\"lost\":%llu,\"disordered\":%llu,\"events\":%llu,\"closed\":%llu,\"decoded\":%llu,"
	       "\"wireBytes\":%llu,\"payloadBytes\":%llu,\"elapsedMs\":%.3f,\"userMicros\":%.0f,\"systemMicros\":%.0f,",
	       (unsigned long long)tally.deliveries, (unsigned long long)lost, (unsigned long long)tally.disordered,
	       (unsigned long long)tally.events, (unsigned long long)tally.closed, (unsigned long long)tally.decoded,
	       (unsigned long long)tally.wire_bytes, (unsigned long long)tally.payload_bytes, elapsed / 1000,
	       (after.user - cpu_before.user) * tick, (after.system - cpu_before.system) * tick);
	printf("\"loadIdle\":%.4f,\"serverWaited\":%.4f,\"loadWaited\":%.4f,\"lateMs\":%.3f,\"timed\":%llu,"
	       "\"p50Ms\":%.3f,\"p90Ms\":%.3f,\"p99Ms\":%.3f,\"p999Ms\":%.3f,\"maxMs\":%.3f}\n",
	       idle / elapsed, (server_waited() - server_waited_before) * 1000 / elapsed,
	       (waited("self") - load_waited_before) * 1000 / elapsed, late_micros / 1000.0, (unsigned long long)stamped,
	       percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999), slowest / 1000.0);
}
