"""moto's S3 server in a process of its own, one request at a time: only so are its conditional writes atomic.

Buckets are there as soon as they are named, but for ``missing-…``. One called ``forgetful-…`` ignores
``If-None-Match`` and ``If-Match``, as older stores do. The access key ``nobody`` is refused.
``GET /-/counts`` tells how many requests of each kind there were, and begins anew.
"""

import json
import threading
from collections import Counter

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REFUSED = b"<Error><Code>InvalidAccessKeyId</Code><Message>The key is not known here.</Message></Error>"


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
            environ["wsgi.input"] = Whole(environ)
            self.counts[kind_of(environ)] += 1
            if "Credential=nobody/" in environ.get("HTTP_AUTHORIZATION", ""):
                return answer(start_response, "403 Forbidden", REFUSED, "application/xml")
            if bucket.startswith("forgetful-"):
                for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
                    environ.pop(name, None)
            if bucket not in self.made and not bucket.startswith("missing-"):
                self.made.add(bucket)
                self.make(bucket, environ)
            return list(self.moto(environ, start_response))

    def make(self, bucket, environ):
        """Create a bucket, as its owner would have."""
        import io

        asked = {
            k: v
            for k, v in environ.items()
            if k in ("SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "wsgi.url_scheme")
        }
        asked |= {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": f"/{bucket}",
            "QUERY_STRING": "",
            "CONTENT_LENGTH": "0",
        }
        asked |= {
            "HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=owner/20260101/us-east-1/s3/aws4_request"
        }
        asked |= {"wsgi.input": io.BytesIO(b""), "wsgi.errors": environ["wsgi.errors"]}
        list(self.moto(asked, lambda status, headers, info=None: None))


def Whole(environ):  # noqa: N802
    """A request's body, read to its end: what is left of it would be taken for the next request."""
    import io

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
