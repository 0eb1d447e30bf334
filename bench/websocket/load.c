/*
 * The load client of the WebSocket bench: plain sockets, frames that were built and masked beforehand, answers that
 * are counted and not read. In C, so that the server and not the client is what is measured: it polls without
 * sleeping, which keeps the kernel from charging the server with waking it.
 *
 * It reads the server's CPU time from /proc/PID/stat at the beginning and the end of its measure, so that time and
 * messages belong together. One line of JSON for each measure goes to standard output.
 *
 *   load echo      PID PORT CONNECTIONS REQUEST FRAMES MESSAGES_PER_WRITE REPLY_BYTES WARMUP_MS MEASURE_MS
 *   load handshake PID PORT CONCURRENCY REQUEST COUNT ROUNDS
 *   load idle      PID PORT CONNECTIONS REQUEST [FRAMES]      holds them until standard input ends
 *
 * REQUEST and FRAMES are files. REPLY_BYTES 0: any length (compressed answers). Milliseconds are of the server's CPU time,
 * so that a machine with other work to do takes longer and does not measure less.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int fd;
	/* Of the answer under way: its header so far, and what is to come of its payload. */
	unsigned char header[10];
	int held;
	uint64_t remaining;
	/* Messages still to come before the next write. */
	int due;
	/* Of our own write: what the kernel has taken. */
	size_t written;
	int waiting;
};

struct cpu {
	long user, system;
};

static char buffer[1 << 18];
static int server, port;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static struct cpu cpu_of(int pid)
{
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0) die("the server's CPU time");
	close(fd);
	text[n] = 0;
	struct cpu cpu;
	/* After the name in parentheses: state and ten fields, then utime and stime. */
	char *at = strrchr(text, ')') + 2;
	for (int field = 0; field < 11; field++) at = strchr(at, ' ') + 1;
	sscanf(at, "%ld %ld", &cpu.user, &cpu.system);
	return cpu;
}

static char *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (!file) die(path);
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	char *bytes = malloc(*size + 1);
	if (fread(bytes, 1, *size, file) != *size) die(path);
	fclose(file);
	return bytes;
}

/* Several addresses of the loopback interface: one has only so many ports. */
static int open_socket(int index, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
	if (fd < 0) die("socket");
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	/* Gone without a TIME_WAIT. */
	struct linger linger = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	to.sin_addr.s_addr = htonl(0x7f000001u + index % 8);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect");
	return fd;
}

/* One handshake, waiting for it. */
static int shake_hands(int index, const char *request, size_t size)
{
	int fd = open_socket(index, 0);
	if (write(fd, request, size) != (ssize_t)size) die("handshake");
	size_t got = 0;
	while (got < 4 || !memmem(buffer, got, "\r\n\r\n", 4)) {
		ssize_t n = read(fd, buffer + got, 4096);
		if (n <= 0) die("handshake");
		got += n;
	}
	if (strncmp(buffer, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "load: refused: %.*s\n", (int)got, buffer);
		exit(1);
	}
	return fd;
}

static uint64_t expected_reply;

/* Counts the messages that end in these bytes. */
static int count_messages(struct connection *c, const unsigned char *at, size_t n)
{
	int messages = 0;
	const unsigned char *end = at + n;
	while (at < end) {
		if (c->remaining == 0) {
			c->header[c->held++] = *at++;
			if (c->held < 2) continue;
			int shorter = c->header[1] & 0x7f;
			int size = shorter < 126 ? 2 : shorter == 126 ? 4 : 10;
			if (c->held < size) continue;
			uint64_t length = shorter;
			if (size > 2) {
				length = 0;
				for (int i = 2; i < size; i++) length = length << 8 | c->header[i];
			}
			if ((c->header[0] & 0x0f) == 8) die("the server closed");
			if (expected_reply != 0 && length != expected_reply) die("an answer of another length");
			c->held = 0;
			c->remaining = length;
			if (length > 0) continue;
		} else {
			size_t take = (size_t)(end - at) < c->remaining ? (size_t)(end - at) : c->remaining;
			at += take;
			c->remaining -= take;
			if (c->remaining > 0) continue;
		}
		if (c->header[0] & 0x80) messages++;
	}
	return messages;
}

static int epoll;

static void push(struct connection *c, const char *frames, size_t size)
{
	while (c->written < size) {
		ssize_t n = send(c->fd, frames + c->written, size - c->written, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) die("send");
		if (n < 0) break;
		c->written += n;
	}
	int waiting = c->written < size;
	if (waiting != c->waiting) {
		c->waiting = waiting;
		struct epoll_event event = { .events = EPOLLIN | (waiting ? EPOLLOUT : 0), .data.ptr = c };
		epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
	}
}

static void echo(char **argv)
{
	int count = atoi(argv[0]);
	size_t request_size, frames_size;
	char *request = slurp(argv[1], &request_size), *frames = slurp(argv[2], &frames_size);
	int burst = atoi(argv[3]);
	expected_reply = strtoull(argv[4], 0, 10);
	double warm_up = atof(argv[5]) / 1000, measure = atof(argv[6]) / 1000;
	struct connection *connections = calloc(count, sizeof *connections);
	epoll = epoll_create1(0);
	for (int i = 0; i < count; i++) {
		struct connection *c = &connections[i];
		c->fd = shake_hands(i, request, request_size);
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
		epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
	}
	for (int i = 0; i < count; i++) {
		connections[i].due = burst;
		push(&connections[i], frames, frames_size);
	}
	struct epoll_event events[256];
	double start = 0, looked = 0;
	long messages = 0;
	struct cpu before = cpu_of(server);
	for (;;) {
		double time = now();
		if (time - looked >= 0.01) {
			looked = time;
			struct cpu cpu = cpu_of(server);
			double spent = (cpu.user - before.user + cpu.system - before.system) / (double)sysconf(_SC_CLK_TCK);
			if (start != 0 && spent >= measure) break;
			if (start == 0 && spent >= warm_up) {
				before = cpu;
				start = time;
				messages = 0;
			}
		}
		int n = epoll_wait(epoll, events, 256, 0);
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT) push(c, frames, frames_size);
			if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
			ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
			if (got < 0 && errno == EAGAIN) continue;
			if (got <= 0) die("recv");
			int done = count_messages(c, (unsigned char *)buffer, got);
			messages += done;
			c->due -= done;
			if (c->due == 0) {
				c->due = burst;
				c->written = 0;
				push(c, frames, frames_size);
			}
		}
	}
	struct cpu after = cpu_of(server);
	double ticks = sysconf(_SC_CLK_TCK) / 1e6;
	printf("{\"messages\":%ld,\"seconds\":%.6f,\"userMicros\":%.0f,\"systemMicros\":%.0f}\n", messages, now() - start,
		(after.user - before.user) / ticks, (after.system - before.system) / ticks);
}

static void handshake(char **argv)
{
	int concurrency = atoi(argv[0]), count = atoi(argv[2]), rounds = atoi(argv[3]);
	size_t size;
	char *request = slurp(argv[1], &size);
	struct connection *connections = calloc(count, sizeof *connections);
	struct epoll_event events[256];
	epoll = epoll_create1(0);
	for (int round = 0; round < rounds; round++) {
		int opened = 0, done = 0;
		struct cpu before = cpu_of(server);
		double start = now();
		while (done < count) {
			while (opened < count && opened - done < concurrency) {
				struct connection *c = &connections[opened];
				memset(c, 0, sizeof *c);
				c->fd = open_socket(opened++, SOCK_NONBLOCK);
				struct epoll_event event = { .events = EPOLLOUT, .data.ptr = c };
				epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
			}
			int n = epoll_wait(epoll, events, 256, 0);
			for (int i = 0; i < n; i++) {
				struct connection *c = events[i].data.ptr;
				if (events[i].events & EPOLLOUT) {
					if (send(c->fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
					struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
					epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
					continue;
				}
				ssize_t got = recv(c->fd, buffer, 4096, 0);
				if (got <= 0) die("recv");
				/* Heads are short and come in one piece here; another one ends the measure below. */
				if (got < 16 || strncmp(buffer, "HTTP/1.1 101", 12) || memcmp(buffer + got - 4, "\r\n\r\n", 4)) {
					errno = 0;
					die("not a whole 101");
				}
				epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, 0);
				done++;
			}
		}
		struct cpu after = cpu_of(server);
		double ticks = sysconf(_SC_CLK_TCK) / 1e6;
		printf("{\"messages\":%d,\"seconds\":%.6f,\"userMicros\":%.0f,\"systemMicros\":%.0f}\n", count, now() - start,
			(after.user - before.user) / ticks, (after.system - before.system) / ticks);
		fflush(stdout);
		for (int i = 0; i < count; i++) close(connections[i].fd);
		/* Until the server has noticed: two readings without work in between. */
		for (long last = -1;;) {
			usleep(100 * 1000);
			struct cpu cpu = cpu_of(server);
			if (cpu.user + cpu.system - last < 2) break;
			last = cpu.user + cpu.system;
		}
	}
}

static void idle(int argc, char **argv)
{
	int count = atoi(argv[0]);
	size_t size, frames_size = 0;
	char *request = slurp(argv[1], &size), *frames = argc > 2 ? slurp(argv[2], &frames_size) : 0;
	struct connection *connections = calloc(count, sizeof *connections);
	for (int i = 0; i < count; i++) {
		struct connection *c = &connections[i];
		c->fd = shake_hands(i, request, size);
		if (!frames) continue;
		if (send(c->fd, frames, frames_size, MSG_NOSIGNAL) != (ssize_t)frames_size) die("send");
		for (int messages = 0; messages == 0;) {
			ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
			if (got <= 0) die("recv");
			messages = count_messages(c, (unsigned char *)buffer, got);
		}
	}
	printf("{\"messages\":%d}\n", count);
	fflush(stdout);
	while (read(0, buffer, sizeof buffer) > 0) continue;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "load echo|handshake|idle PID PORT …\n");
		return 2;
	}
	server = atoi(argv[2]);
	port = atoi(argv[3]);
	if (!strcmp(argv[1], "echo") && argc == 11) echo(argv + 4);
	else if (!strcmp(argv[1], "handshake") && argc == 8) handshake(argv + 4);
	else if (!strcmp(argv[1], "idle")) idle(argc - 4, argv + 4);
	else return 2;
	return 0;
}
