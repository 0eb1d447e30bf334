/* permessage-deflate (RFC 7692 §7.2.2), as any client decodes it: one zlib stream a connection, reset where so agreed. */
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ROOM (1 << 18)

struct inflater {
	z_stream stream;
	unsigned char out[ROOM];
};

struct inflater *inflater_create(void)
{
	struct inflater *inflater = calloc(1, sizeof *inflater);
	if (inflateInit2(&inflater->stream, -15) != Z_OK) die("zlib");
	return inflater;
}

const unsigned char *inflate_message(struct inflater *inflater, const unsigned char *payload, size_t size, bool reset,
				     size_t *inflated)
{
	static unsigned char tail[4] = { 0x00, 0x00, 0xff, 0xff };
	z_stream *stream = &inflater->stream;
	stream->next_out = inflater->out;
	stream->avail_out = ROOM;
	stream->next_in = (unsigned char *)payload;
	stream->avail_in = size;
	int first = inflate(stream, Z_SYNC_FLUSH);
	stream->next_in = tail;
	stream->avail_in = sizeof tail;
	int second = first == Z_OK || first == Z_BUF_ERROR ? inflate(stream, Z_SYNC_FLUSH) : first;
	if ((second != Z_OK && second != Z_BUF_ERROR) || stream->avail_in > 0)
		die("a message of %zu bytes does not decode: %s", size, stream->msg ? stream->msg : "too long");
	*inflated = ROOM - stream->avail_out;
	if (reset) inflateReset(stream);
	return inflater->out;
}
