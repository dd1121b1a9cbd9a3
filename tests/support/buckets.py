"""A store for tests: moto's server, a process of its own (``s3server.py``), and what points at it."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

SERVER = Path(__file__).with_name("s3server.py")


class Store:
    """A running server."""

    def __init__(self):
        command = [sys.executable, str(SERVER)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    @property
    def env(self):
        """What a user of this store sets."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }

    def counts(self):
        """Requests since the last time, by kind."""
        with urllib.request.urlopen(f"{self.url}/-/counts", timeout=30) as answer:
            return json.load(answer)

    def close(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def without_aws(env=os.environ):
    """An environment in which nothing of a developer's own store is left."""
    return {k: v for k, v in env.items() if not k.startswith("AWS_")}
