"""Python's `websockets` as a client program (`../client.ts` has the commands)."""
import asyncio
import base64
import json
import sys

import websockets

sockets = {}


def say(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def status_of(error):
    # Version 13 renamed the error and moved the status.
    response = getattr(error, "response", None)
    return getattr(error, "status_code", None) if response is None else response.status_code


async def connect(connection, url, protocol):
    try:
        socket = await websockets.connect(url, subprotocols=[protocol] if protocol else None, max_size=None)
    except (websockets.exceptions.InvalidHandshake, OSError, EOFError) as error:
        say(connection=connection, event="refused", status=status_of(error))
        return
    sockets[connection] = socket
    say(connection=connection, event="open", protocol=socket.subprotocol or "")
    try:
        async for data in socket:
            if isinstance(data, str):
                say(connection=connection, event="text", data=data)
            else:
                say(connection=connection, event="binary", data=base64.b64encode(data).decode())
    except websockets.exceptions.ConnectionClosed:
        pass
    await socket.wait_closed()
    say(connection=connection, event="closed", code=socket.close_code, reason=socket.close_reason)


def fragments(count, text):
    for index in range(count):
        yield text[index * len(text) // count : (index + 1) * len(text) // count]


async def ping(connection, data):
    await (await sockets[connection].ping(data))
    # The library matches a pong with its ping by their bytes, and does not hand them out.
    say(connection=connection, event="pong", data=data)


async def send(connection, message):
    try:
        await sockets[connection].send(message)
    except websockets.exceptions.ConnectionClosed:
        pass  # told by the reader


async def main():
    loop = asyncio.get_running_loop()
    tasks = set()
    say(event="ready")
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, connection, first, second = (line.rstrip("\n").split("\t") + ["", ""])[:4]
        if verb == "open":
            work = connect(connection, first, second)
        elif verb == "text":
            work = send(connection, first)
        elif verb == "fragments":
            work = send(connection, fragments(int(first), second))
        elif verb == "binary":
            work = send(connection, base64.b64decode(first))
        elif verb == "ping":
            work = ping(connection, first)
        elif verb == "close":
            work = sockets[connection].close(int(first), second)
        else:
            raise ValueError(f"unknown command {verb}")
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


sys.stdin.reconfigure(encoding="utf-8")
asyncio.run(main())
