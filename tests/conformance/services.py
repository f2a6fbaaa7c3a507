"""The public services that the specification's features call, as local stubs."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PETS = [{"id": number, "name": name, "status": "available"} for number, name in enumerate(("Rex", "Tom"), start=1)]


def _petstore(port: int) -> dict[str, Any]:
    def operation(name: str, parameter: dict[str, Any]) -> dict[str, Any]:
        described = {"operationId": name, "parameters": [{"required": True, **parameter}]}
        return {"get": {**described, "produces": ["application/json"], "responses": {"200": {"description": "pets"}}}}

    status = {"name": "status", "in": "query", "type": "array", "items": {"type": "string"}}
    return {
        "swagger": "2.0",
        "info": {"title": "Petstore", "version": "1.0.0"},
        "host": f"127.0.0.1:{port}",
        "basePath": "/v2",
        "schemes": ["http"],
        "paths": {
            "/pet/findByStatus": operation("findPetsByStatus", {**status, "collectionFormat": "multi"}),
            "/pet/{petId}": operation("getPetById", {"name": "petId", "in": "path", "type": "integer"}),
        },
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        port = self.server.server_address[1]
        if path == "/v2/swagger.json":
            self._answer(200, _petstore(int(port)))
        elif path == "/v2/pet/findByStatus":
            self._answer(200, PETS)
        elif match := re.fullmatch(r"/v2/pet/(\d+)", path):
            self._answer(*((200, PETS[int(match[1]) - 1]) if 0 < int(match[1]) <= len(PETS) else (404, {})))
        elif match := re.fullmatch(r"/basic-auth/([^/]+)/([^/]+)", path):
            wanted = "Basic " + base64.b64encode(f"{match[1]}:{match[2]}".encode()).decode()
            self._answer(200 if self.headers["Authorization"] == wanted else 401, {"user": match[1]})
        else:
            self._answer(404, {})

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve for the length of a block; the URL that stands for the services' hosts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
