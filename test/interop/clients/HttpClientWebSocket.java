import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/** The WebSocket of Java's HttpClient as a client program ({@code ../client.ts} has the commands). */
final class HttpClientWebSocket {
	private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
	private static final HttpClient HTTP = HttpClient.newHttpClient();
	private static final Map<String, Connection> CONNECTIONS = new ConcurrentHashMap<>();

	public static void main(String[] arguments) throws Exception {
		var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		print("{\"event\":\"ready\"}");
		for (var line = lines.readLine(); line != null; line = lines.readLine()) {
			var fields = line.split("\t", -1);
			if (fields[0].equals("open")) {
				CONNECTIONS.put(fields[1], new Connection(fields[1], fields[2], fields[3]));
			} else {
				CONNECTIONS.get(fields[1]).perform(fields);
			}
		}
		System.exit(0);
	}

	private static final class Connection implements WebSocket.Listener {
		private final String name;
		private final StringBuilder text = new StringBuilder();
		private final java.io.ByteArrayOutputStream binary = new java.io.ByteArrayOutputStream();
		/** The library refuses a send while another is under way. */
		private CompletableFuture<WebSocket> last;

		Connection(String name, String url, String protocol) {
			this.name = name;
			var builder = HTTP.newWebSocketBuilder();
			if (!protocol.isEmpty()) {
				builder.subprotocols(protocol);
			}
			last = builder.buildAsync(URI.create(url), this);
			last.whenComplete((socket, failure) -> {
				if (failure != null) {
					var cause = failure.getCause() == null ? failure : failure.getCause();
					var status = cause instanceof WebSocketHandshakeException refused
							? String.valueOf(refused.getResponse().statusCode())
							: "null";
					say("refused", "\"status\":" + status);
				}
			});
		}

		void perform(String[] fields) {
			var first = fields[2];
			switch (fields[0]) {
				case "text" -> then(socket -> socket.sendText(first, true));
				case "fragments" -> {
					var count = Integer.parseInt(first);
					var whole = fields[3];
					for (var index = 0; index < count; index++) {
						var part = whole.substring(index * whole.length() / count, (index + 1) * whole.length() / count);
						var end = index == count - 1;
						then(socket -> socket.sendText(part, end));
					}
				}
				case "binary" -> then(socket -> socket.sendBinary(ByteBuffer.wrap(Base64.getDecoder().decode(first)), true));
				case "ping" -> then(socket -> socket.sendPing(ByteBuffer.wrap(first.getBytes(StandardCharsets.UTF_8))));
				case "close" -> then(socket -> socket.sendClose(Integer.parseInt(first), fields[3]));
				default -> throw new IllegalArgumentException("unknown command " + fields[0]);
			}
		}

		private void then(Function<WebSocket, CompletableFuture<WebSocket>> step) {
			last = last.thenCompose(step);
		}

		@Override
		public void onOpen(WebSocket socket) {
			say("open", "\"protocol\":" + quote(socket.getSubprotocol()));
			socket.request(1);
		}

		@Override
		public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean end) {
			text.append(part);
			if (end) {
				say("text", "\"data\":" + quote(text.toString()));
				text.setLength(0);
			}
			socket.request(1);
			return null;
		}

		@Override
		public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean end) {
			var bytes = new byte[part.remaining()];
			part.get(bytes);
			binary.writeBytes(bytes);
			if (end) {
				say("binary", "\"data\":" + quote(Base64.getEncoder().encodeToString(binary.toByteArray())));
				binary.reset();
			}
			socket.request(1);
			return null;
		}

		@Override
		public CompletionStage<?> onPong(WebSocket socket, ByteBuffer message) {
			say("pong", "\"data\":" + quote(StandardCharsets.UTF_8.decode(message).toString()));
			socket.request(1);
			return null;
		}

		@Override
		public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
			say("closed", "\"code\":" + code + ",\"reason\":" + quote(reason));
			return null;
		}

		@Override
		public void onError(WebSocket socket, Throwable error) {
			// No close frame came.
			say("closed", "\"code\":1006,\"reason\":" + quote(String.valueOf(error)));
		}

		private void say(String event, String more) {
			print("{\"connection\":" + quote(name) + ",\"event\":\"" + event + "\"," + more + "}");
		}
	}

	private static synchronized void print(String line) {
		OUT.print(line + "\n");
		OUT.flush();
	}

	/** As JSON. Surrogates are escaped, so that lone ones survive UTF-8. */
	private static String quote(String text) {
		var quoted = new StringBuilder("\"");
		for (var letter : text.toCharArray()) {
			if (letter == '"' || letter == '\\' || letter < ' ' || Character.isSurrogate(letter)) {
				quoted.append(String.format("\\u%04x", (int) letter));
			} else {
				quoted.append(letter);
			}
		}
		return quoted.append('"').toString();
	}
}
