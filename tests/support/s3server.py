"""moto's S3 server in a process of its own, one request at a time: only so are its conditional writes atomic.

Buckets are there as soon as they are named, but for ``missing-…``. One called ``forgetful-…`` ignores
``If-None-Match`` and ``If-Match``, as older stores do. The access key ``nobody`` is refused.
``GET /-/counts`` tells how many requests of each kind and bytes there were, and begins anew.
"""

import io
import json
import threading
from collections import Counter

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REFUSED = b"<Error><Code>InvalidAccessKeyId</Code><Message>The key is not known here.</Message></Error>"

OWNER = "AWS4-HMAC-SHA256 Credential=owner/20260101/us-east-1/s3/aws4_request"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay, as with a real store

    def log_request(self, *args):
        pass


class Store:
    def __init__(self):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.counts, self.made = Counter(), set()

    def __call__(self, environ, start_response):
        bucket = environ["PATH_INFO"].lstrip("/").partition("/")[0]
        with self.lock:
            if bucket == "-":
                told = json.dumps(self.counts).encode()
                self.counts.clear()
                return answer(start_response, "200 OK", told, "application/json")
            environ["wsgi.input"] = whole_body(environ)
            self.counts[kind_of(environ)] += 1
            if "Credential=nobody/" in environ.get("HTTP_AUTHORIZATION", ""):
                return answer(start_response, "403 Forbidden", REFUSED, "application/xml")
            if bucket.startswith("forgetful-"):
                for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
                    environ.pop(name, None)
            if bucket not in self.made and not bucket.startswith("missing-"):
                self.made.add(bucket)
                self.make(bucket, environ)
            body = list(self.moto(environ, start_response))
            self.counts["bytes sent"] += int(environ.get("CONTENT_LENGTH") or 0)
            self.counts["bytes read"] += sum(map(len, body))
            return body

    def make(self, bucket, environ):
        """Create a bucket, as its owner would have."""
        kept = ("SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "wsgi.url_scheme", "wsgi.errors")
        asked = {name: environ[name] for name in kept if name in environ}
        asked |= {"REQUEST_METHOD": "PUT", "PATH_INFO": f"/{bucket}", "QUERY_STRING": ""}
        asked |= {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO(b""), "HTTP_AUTHORIZATION": OWNER}
        list(self.moto(asked, lambda status, headers, info=None: None))


def whole_body(environ):
    """A request's body, read to its end: what is left of it would be taken for the next request."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return io.BytesIO(environ["wsgi.input"].read(length))


def kind_of(environ):
    is_list = environ["REQUEST_METHOD"] == "GET" and "list-type=" in environ.get("QUERY_STRING", "")
    return "LIST" if is_list else environ["REQUEST_METHOD"]


def answer(start_response, status, body, kind):
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, Store(), threaded=True, request_handler=Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()
