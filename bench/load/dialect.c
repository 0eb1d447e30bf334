/*
 * What lies in a frame, by the peer that sent it: messages to count, replies that show a subscription, pings to answer.
 * Messages carry the time at which they were due behind `"at":`, so one is timed without its JSON being parsed.
 */
#define _GNU_SOURCE
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 1
#define BINARY 2
#define STAMP_DIGITS 16
/* How far before the end of a message its stamp may be: behind it come only brackets, and an offset or a tag. */
#define STAMP_WITHIN 200

uint64_t stamp_of(const unsigned char *payload, size_t size)
{
	const unsigned char *least = size > STAMP_WITHIN ? payload + size - STAMP_WITHIN : payload;
	for (const unsigned char *at = payload + size - STAMP_DIGITS - 1; at >= least + 5; at--) {
		if (at[-1] != ':' || memcmp(at - 5, "\"at\":", 5)) continue;
		uint64_t stamp = 0;
		for (int i = 0; i < STAMP_DIGITS; i++) stamp = stamp * 10 + at[i] - '0';
		return stamp;
	}
	return 0;
}

static void delivered(struct connection *c, const unsigned char *message, size_t size)
{
	if (!c->opening->subscriber || c->state != READY) return;
	tally.deliveries++;
	tally.payload_bytes += size;
	c->deliveries++;
	uint64_t stamp = stamp_of(message, size);
	if (stamp == 0) return;
	/* Stamps rise within the whole script; where a connection has one channel, so they must on it. */
	if (stamp <= c->stamp) tally.disordered++;
	c->stamp = stamp;
	latency(stamp);
}

static bool begins(const unsigned char *bytes, size_t size, const char *with)
{
	size_t length = strlen(with);
	return size >= length && !memcmp(bytes, with, length);
}

static void take_socketio(struct connection *c, const unsigned char *payload, size_t size)
{
	if (begins(payload, size, "42")) delivered(c, payload, size);
	else if (begins(payload, size, "2")) send_frame(c, TEXT, "3", 1);
}

/* A frame holds as many JSON objects as were ready, each a line. */
static void take_centrifugo(struct connection *c, const unsigned char *payload, size_t size)
{
	while (size > 0) {
		const unsigned char *end = memchr(payload, '\n', size);
		size_t line = end ? (size_t)(end - payload) : size;
		if (line == 2) send_frame(c, TEXT, "{}", 2);
		else if (begins(payload, line, "{\"push\"")) delivered(c, payload, line);
		payload += line;
		size -= line;
		if (size > 0) {
			payload++;
			size--;
		}
	}
}

/* A stream of bytes in frames that need not hold whole messages: lines, and bodies of as many bytes as their line says. */
static void take_nats(struct connection *c, const unsigned char *payload, size_t size)
{
	while (size > 0) {
		if (c->body > 0) {
			size_t take = size < c->body ? size : c->body;
			bool whole = take == c->body;
			c->body -= take;
			/* One that came in parts is counted, and its stamp is with its end. */
			if (whole) delivered(c, payload, take);
			payload += take;
			size -= take;
			continue;
		}
		char byte = *payload++;
		size--;
		/* INFO is longer than the room for a line, and of no interest. */
		if (byte != '\n') {
			if (c->line_bytes < (int)sizeof c->line - 1) c->line[c->line_bytes++] = byte;
			continue;
		}
		c->line[c->line_bytes] = 0;
		c->line_bytes = 0;
		if (!strncmp(c->line, "MSG ", 4)) c->body = strtoul(strrchr(c->line, ' '), NULL, 10) + 2;
		else if (!strncmp(c->line, "PING", 4)) send_frame(c, BINARY, "PONG\r\n", 6);
		else if (c->line[0] == '-') die("NATS says %s", c->line);
	}
}

void take_payload(struct connection *c, const unsigned char *payload, size_t size, bool text)
{
	(void)text;
	if (c->state == SUBSCRIBING) {
		const unsigned char *at = payload, *end = payload + size;
		while ((at = memmem(at, end - at, c->opening->token, c->opening->token_bytes))) {
			c->replies++;
			at += c->opening->token_bytes;
		}
		if (memmem(payload, size, "\"error\":{", 9)) die("refused: %.*s", (int)size, payload);
	}
	switch (c->opening->dialect) {
	case PLAIN:
		delivered(c, payload, size);
		break;
	case TIDEWIRE:
		if (!begins(payload, size, "{\"channel\"")) break;
		if (memmem(payload, size < 300 ? size : 300, "\"event\":\"", 9)) tally.events++;
		else delivered(c, payload, size);
		break;
	case SOCKETIO:
		take_socketio(c, payload, size);
		break;
	case CENTRIFUGO:
		take_centrifugo(c, payload, size);
		break;
	case NATS:
		take_nats(c, payload, size);
		break;
	}
}
