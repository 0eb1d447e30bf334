/*
 * Connections: opened a bounded number at a time, from as many addresses of the loopback interface as their ports take,
 * subscribed by a script, read without waiting. A stalled one is not read, which is all that makes it stalled.
 */
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_OF_AN_ADDRESS 10000
#define OPEN_LIMIT_MICROS 180000000ull
/* Of the connections of one opening, every so many decodes what is compressed; all would be the load's own cost. */
#define DECODES_EVERY 97
#define READ_BYTES (1 << 18)

extern int epoll;

struct connection *connections;
int connection_count, subscriber_count, pending;

static unsigned char buffer[READ_BYTES];

static void watch(struct connection *c, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };
	if (epoll_ctl(epoll, operation, c->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static void open_one(const struct opening *opening, int port)
{
	int index = connection_count++;
	struct connection *c = &connections[index];
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0) die("socket %d: %s", index, strerror(errno));
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	/* Gone without a TIME_WAIT, which would hold the port. */
	struct linger linger = { 1, 0 };
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	struct sockaddr_in from = { .sin_family = AF_INET };
	from.sin_addr.s_addr = htonl(0x7f000001u + index / PORTS_OF_AN_ADDRESS);
	if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind: %s", strerror(errno));
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	to.sin_addr.s_addr = htonl(0x7f000001u);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect: %s", strerror(errno));
	c->opening = opening;
	c->state = CONNECTING;
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
	pending++;
	if (opening->subscriber) subscriber_count++;
}

void open_connections(const struct opening *opening, int port, int count, int parallel)
{
	uint64_t limit = now_micros() + OPEN_LIMIT_MICROS;
	for (int opened = 0; opened < count || pending > 0;) {
		while (opened < count && pending < parallel) {
			open_one(opening, port);
			opened++;
		}
		turn(10);
		if (now_micros() > limit) die("%d of %d connections were not ready in time", pending, count);
	}
}

static void ready(struct connection *c)
{
	c->state = READY;
	pending--;
}

void connected(struct connection *c)
{
	int error = 0;
	socklen_t size = sizeof error;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error) die("connect: %s", strerror(error));
	c->state = HANDSHAKE;
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	push(c, c->opening->request, c->opening->request_bytes);
}

/* Returns how many bytes the answer's head has, or 0 while it is not whole. */
static size_t shake_hands(struct connection *c, unsigned char *bytes, size_t size)
{
	unsigned char *end = memmem(bytes, size, "\r\n\r\n", 4);
	if (!end) return 0;
	size_t head = end + 4 - bytes;
	if (size < 12 || memcmp(bytes, "HTTP/1.1 101", 12)) die("refused: %.*s", (int)(size < 400 ? size : 400), bytes);
	end[2] = 0;
	char *extensions = strcasestr((char *)bytes, "\r\nsec-websocket-extensions:");
	if (extensions && strcasestr(extensions, "permessage-deflate")) {
		c->deflate = true;
		c->resets = strcasestr(extensions, "server_no_context_takeover") != NULL;
		if ((c - connections) % DECODES_EVERY == 0) c->inflater = inflater_create();
	}
	c->state = SUBSCRIBING;
	push(c, c->opening->frames, c->opening->frames_bytes);
	if (c->opening->replies == 0) ready(c);
	return head;
}

static void keep_rest(struct connection *c, const unsigned char *bytes, size_t size)
{
	if (c->rest_room < size) {
		free(c->rest);
		c->rest = malloc(c->rest_room = size);
	}
	/* `bytes` is never within `rest`, which is emptied into the common buffer before. */
	memcpy(c->rest, bytes, size);
	c->rest_bytes = size;
}

void receive(struct connection *c)
{
	size_t held = c->rest_bytes;
	if (held >= sizeof buffer / 2) die("a frame of more than %d bytes", READ_BYTES / 2);
	if (held) memcpy(buffer, c->rest, held);
	ssize_t got = recv(c->fd, buffer + held, sizeof buffer - held, 0);
	if (got < 0 && errno == EAGAIN) return;
	if (got <= 0) {
		if (c->state != READY) die("the server closed before the connection was ready");
		close(c->fd);
		c->state = CLOSED;
		tally.closed++;
		return;
	}
	if (c->opening->subscriber) tally.wire_bytes += got;
	size_t size = held + got, taken = 0;
	if (c->state == HANDSHAKE) taken = shake_hands(c, buffer, size);
	if (c->state != HANDSHAKE) taken += take_frames(c, buffer + taken, size - taken);
	if (taken < size) keep_rest(c, buffer + taken, size - taken);
	else c->rest_bytes = 0;
	if (c->state == SUBSCRIBING && c->replies >= c->opening->replies) ready(c);
}

void push(struct connection *c, const void *bytes, size_t size)
{
	size_t sent = 0;
	while (c->out_bytes == 0 && sent < size) {
		ssize_t n = send(c->fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) die("send: %s", strerror(errno));
		if (n < 0) break;
		sent += n;
	}
	if (sent == size) return;
	size_t left = size - sent;
	if (c->out_bytes == 0) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	if (c->out_room < c->out_bytes + left) c->out = realloc(c->out, c->out_room = 2 * (c->out_bytes + left));
	memcpy(c->out + c->out_bytes, (const char *)bytes + sent, left);
	c->out_bytes += left;
}

void flush(struct connection *c)
{
	ssize_t n = send(c->fd, c->out, c->out_bytes, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) die("send: %s", strerror(errno));
	if (n <= 0) return;
	memmove(c->out, c->out + n, c->out_bytes - n);
	c->out_bytes -= n;
	if (c->out_bytes == 0) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

void stall(int count, bool stalled)
{
	for (int i = 0; i < connection_count && count > 0; i++) {
		struct connection *c = &connections[i];
		if (!c->opening->subscriber || c->state != READY) continue;
		count--;
		if (c->stalled == stalled) continue;
		c->stalled = stalled;
		subscriber_count += stalled ? -1 : 1;
		watch(c, stalled ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, EPOLLIN);
	}
}
