#!/usr/bin/env python3
"""Publishes one event:

    python3 publish.py orders '{"id":17}' created

REDIS_URL says where; without it, redis://127.0.0.1:6379.

This needs nothing but Python. With redis-py (pip install redis) the class below
is not needed, and publishing is one call:

    r = redis.Redis.from_url(url)
    r.xadd("sse:orders", {"event": "created", "data": '{"id":17}'}, maxlen=10_000)
"""
import os
import socket
import sys
from urllib.parse import unquote, urlsplit


class Redis:
    """As much of the Redis protocol as publishing needs. One thread at a time."""

    def __init__(self, url):
        url = urlsplit(url)
        self.socket = socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379), timeout=5)
        self.answers = self.socket.makefile("rb")
        if url.password:
            self.command("AUTH", unquote(url.username or "default"), unquote(url.password))
        if database := url.path.strip("/").lstrip("0"):
            self.command("SELECT", database)

    def command(self, *words):
        words = [word.encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        line = self.answers.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"$":
            return self.answers.read(int(rest) + 2)[:-2].decode()
        return rest


def publish(redis, channel, data, event=None):
    """Appends an event to a channel and returns its id. An event without a name
    is one for EventSource's onmessage."""
    entry = ["data", data]
    if event:
        entry += ["event", event]
    # MAXLEN is what a client that was away can still get.
    return redis.command("XADD", "sse:" + channel, "MAXLEN", "~", "10000", "*", *entry)


def connect():
    return Redis(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: publish.py CHANNEL DATA [EVENT]")
    try:
        print(publish(connect(), *sys.argv[1:4]))
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
