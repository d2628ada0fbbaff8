#!/usr/bin/env python3
"""The second classic: a ping every second, as a named event, and now and then a
message, without a name. The page is ../pages/pings.html."""
import json
import os
import random
import time

from publish import connect, publish

INTERVAL = float(os.environ.get("INTERVAL", "1"))  # seconds
MESSAGES = ["hello", "still here", "nothing happened", "somebody signed up", "lunch is ready"]

redis = connect()
while True:
    publish(redis, "pings", json.dumps({"time": time.strftime("%FT%T%z")}), "ping")
    if random.random() < 0.3:
        publish(redis, "pings", random.choice(MESSAGES))
    time.sleep(INTERVAL)
