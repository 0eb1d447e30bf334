/* Commands from standard input, one answer of JSON for each, and the loop that looks at the sockets. */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512

int epoll;

void die(const char *what, ...)
{
	va_list args;
	va_start(args, what);
	fprintf(stderr, "load: ");
	vfprintf(stderr, what, args);
	fprintf(stderr, "\n");
	exit(1);
}

uint64_t now_micros(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static bool told;

bool turn(int wait_ms)
{
	static struct epoll_event events[EVENTS];
	int n = epoll_wait(epoll, events, EVENTS, wait_ms);
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (!c) {
			told = true;
			continue;
		}
		if (events[i].events & EPOLLOUT) {
			if (c->state == CONNECTING) connected(c);
			else flush(c);
		}
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->state != CLOSED) receive(c);
	}
	return n > 0;
}

static unsigned char *read_exactly(size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	for (size_t got = 0; got < size;) {
		ssize_t n = read(0, bytes + got, size - got);
		if (n <= 0) die("the command ended early");
		got += n;
	}
	bytes[size] = 0;
	return bytes;
}

static bool read_line(char *line, size_t room)
{
	size_t got = 0;
	while (got + 1 < room) {
		if (read(0, line + got, 1) <= 0) return false;
		if (line[got] == '\n') break;
		got++;
	}
	line[got] = 0;
	return true;
}

/* open PORT COUNT DIALECT s|p REQUEST_BYTES FRAMES_BYTES TOKEN_BYTES REPLIES PARALLEL, then those bytes. */
static void open_command(const char *line)
{
	int port, count, dialect, replies, parallel;
	size_t request, frames, token;
	char role;
	if (sscanf(line, "open %d %d %d %c %zu %zu %zu %d %d", &port, &count, &dialect, &role, &request, &frames, &token,
		   &replies, &parallel) != 9)
		die("what is meant by: %s", line);
	struct opening *opening = calloc(1, sizeof *opening);
	*opening = (struct opening){ .dialect = dialect, .subscriber = role == 's', .replies = replies };
	opening->request = (char *)read_exactly(opening->request_bytes = request);
	opening->frames = (char *)read_exactly(opening->frames_bytes = frames);
	opening->token = (char *)read_exactly(opening->token_bytes = token);
	open_connections(opening, port, count, parallel);
	printf("{\"opened\":%d}\n", count);
}

static void command(const char *line)
{
	int a = 0, b = 0, c = 0, messages = 0;
	unsigned long long n = 0;
	size_t size = 0;
	if (!strncmp(line, "open ", 5)) {
		open_command(line);
	} else if (sscanf(line, "server %d", &server) == 1) {
		printf("{}\n");
	} else if (sscanf(line, "script %d %zu", &a, &size) == 2) {
		read_script(a, read_exactly(size), size);
		printf("{}\n");
	} else if (sscanf(line, "closed %d %d %d %d", &a, &b, &c, &messages) == 4) {
		play_closed(a, b, c, messages);
	} else if (sscanf(line, "paced %d %d", &a, &b) == 2) {
		play_paced(a, b);
	} else if (sscanf(line, "expect %llu %d %d", &n, &a, &b) == 3) {
		expect(n, a, b);
	} else if (sscanf(line, "stall %d", &a) == 1) {
		stall(a, true);
		printf("{}\n");
	} else if (!strcmp(line, "resume")) {
		stall(connection_count, false);
		printf("{}\n");
	} else if (!strcmp(line, "totals")) {
		uint64_t least = UINT64_MAX, most = 0;
		for (int i = 0; i < connection_count; i++) {
			if (!connections[i].opening->subscriber) continue;
			if (connections[i].deliveries < least) least = connections[i].deliveries;
			if (connections[i].deliveries > most) most = connections[i].deliveries;
		}
		printf("{\"deliveries\":%llu,\"least\":%llu,\"most\":%llu,\"events\":%llu,\"closed\":%llu}\n",
		       (unsigned long long)tally.deliveries, (unsigned long long)(most ? least : 0), (unsigned long long)most,
		       (unsigned long long)tally.events, (unsigned long long)tally.closed);
	} else {
		die("unknown command: %s", line);
	}
	fflush(stdout);
}

int main(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGPIPE, SIG_IGN);
	/* A fixed place, for the kernel's events point into it; untouched pages cost nothing. */
	connections = calloc(limit.rlim_max < 1000000 ? limit.rlim_max : 1000000, sizeof *connections);
	epoll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
	char line[512];
	for (;;) {
		/* Between measures it sleeps, and answers pings. */
		turn(-1);
		if (!told) continue;
		told = false;
		if (!read_line(line, sizeof line)) return 0;
		command(line);
	}
}
