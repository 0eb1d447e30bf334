/* WebSocket frames (RFC 6455 §5.2): those of a server, parsed where they lie; ours, with a mask of zero. */
#include "load.h"
#include <string.h>

#define FIN 0x80
#define RSV1 0x40
#define MASKED 0x80

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

void send_frame(struct connection *c, int opcode, const void *payload, size_t size)
{
	unsigned char frame[140] = { FIN | opcode, MASKED | size };
	if (size > 125) die("an answer of %zu bytes", size);
	memcpy(frame + 6, payload, size);
	push(c, frame, 6 + size);
}

static void take_frame(struct connection *c, unsigned char first, unsigned char *payload, size_t size)
{
	int opcode = first & 0x0f;
	bool counts = c->opening->subscriber && c->state == READY;
	switch (opcode) {
	case PING:
		send_frame(c, PONG, payload, size);
		return;
	case PONG:
	case CLOSE:
		return;
	}
	if (first & RSV1) {
		if (!c->deflate) die("a compressed frame that was not agreed on");
		if (!c->inflater || !(first & FIN)) {
			/* Only plain dialects are compressed here: a frame is a message. */
			if (counts) {
				tally.deliveries++;
				c->deliveries++;
			}
			return;
		}
		size_t inflated;
		const unsigned char *message = inflate_message(c->inflater, payload, size, c->resets, &inflated);
		tally.decoded++;
		if (counts) compare(c, message, inflated);
		take_payload(c, message, inflated, opcode == TEXT);
		return;
	}
	if (opcode == CONTINUATION || !(first & FIN)) {
		/* Nobody here fragments a message of ours, so none is told apart. */
		die("a fragmented message");
	}
	take_payload(c, payload, size, opcode == TEXT);
}

size_t take_frames(struct connection *c, unsigned char *bytes, size_t size)
{
	size_t at = 0;
	while (size - at >= 2) {
		unsigned char *frame = bytes + at;
		uint64_t length = frame[1] & 0x7f;
		size_t head = length < 126 ? 2 : length == 126 ? 4 : 10;
		if (frame[1] & MASKED) die("a masked frame from a server");
		if (size - at < head) break;
		if (head > 2) {
			length = 0;
			for (size_t i = 2; i < head; i++) length = length << 8 | frame[i];
		}
		if (size - at - head < length) break;
		take_frame(c, frame[0], frame + head, length);
		at += head + length;
	}
	return at;
}
