/*
 * The load client of the bench: what its files share. In C, so that the server and not the client is what is measured:
 * thousands of sockets in one thread that polls without sleeping while it measures. `load.ts` compiles it and speaks to it.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a peer's messages lie in WebSocket frames. */
enum dialect { PLAIN, TIDEWIRE, SOCKETIO, CENTRIFUGO, NATS };

enum state { CONNECTING, HANDSHAKE, SUBSCRIBING, READY, CLOSED };

/* What a connection says to be subscribed; shared by all that were opened together. */
struct opening {
	enum dialect dialect;
	bool subscriber;
	char *request, *frames, *token;
	size_t request_bytes, frames_bytes, token_bytes;
	/* How often the token comes before the connection is ready. */
	int replies;
};

struct connection {
	int fd;
	enum state state;
	const struct opening *opening;
	bool stalled;
	int replies;
	/* The begin of a frame whose end has not come. */
	unsigned char *rest;
	size_t rest_bytes, rest_room;
	/* What the kernel did not take yet. */
	unsigned char *out;
	size_t out_bytes, out_room;
	/* Deliveries in all, and the stamp of the latest. */
	uint64_t deliveries, stamp;
	/* NATS: bytes of a message's body still to come, or the begin of a line. */
	size_t body;
	char line[128];
	int line_bytes;
	/* permessage-deflate: 0 none, else agreed; `inflater` only where this connection decodes. */
	bool deflate, resets;
	struct inflater *inflater;
};

/* What is counted while a measure runs; all times in microseconds. */
struct tally {
	uint64_t deliveries, wire_bytes, payload_bytes, disordered, events, decoded, closed;
};

extern struct tally tally;
extern struct connection *connections;
extern int connection_count;
extern int subscriber_count;
/* Connections that were opened and are not ready. */
extern int pending;

/* main.c */
void die(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_micros(void);
/* One look at all sockets; false if there was nothing. */
bool turn(int wait_ms);

/* connection.c */
void open_connections(const struct opening *opening, int port, int count, int parallel);
void receive(struct connection *c);
void connected(struct connection *c);
void push(struct connection *c, const void *bytes, size_t size);
void flush(struct connection *c);
void stall(int count, bool stalled);

/* frames.c: takes whole frames; returns how many bytes it took. */
size_t take_frames(struct connection *c, unsigned char *bytes, size_t size);
void send_frame(struct connection *c, int opcode, const void *payload, size_t size);

/* dialect.c */
void take_payload(struct connection *c, const unsigned char *payload, size_t size, bool text);
/* The 16 digits behind the last `"at":` of a message, or 0. */
uint64_t stamp_of(const unsigned char *payload, size_t size);

/* inflate.c */
struct inflater *inflater_create(void);
/* The message that was compressed, valid until the next call. */
const unsigned char *inflate_message(struct inflater *inflater, const unsigned char *payload, size_t size, bool reset,
				     size_t *inflated);

/* script.c: what is published, and when. */
void read_script(int count, const unsigned char *bytes, size_t size);
/* Until so much CPU time of the server, or where `messages` is not 0, so many of them. */
void play_closed(int burst, int warm_ms, int measure_ms, int messages);
/* Whether this is what was published; ends the program where not. */
void compare(const struct connection *c, const unsigned char *message, size_t size);
void play_paced(int warm_ms, int patience_ms);
void expect(uint64_t deliveries, int warm_ms, int patience_ms);

/* figures.c */
extern int server;
void latency(uint64_t micros);
void begin_measure(void);
/* Latencies of messages that were stamped earlier do not count. */
extern uint64_t measured_from;
double server_cpu_millis(void);
void print_figures(uint64_t lost, uint64_t late_micros);
void idle_since(uint64_t micros);

#endif
