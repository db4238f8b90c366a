"""Servers for files on 127.0.0.1: HTTP with ranges, and as much FTP as ftplib speaks. Both can cut off transfers."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Files:
    """The files of a server by their path; the next `cuts` downloads end after half of what they send; `refused` are answered so."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.cuts = 0
        self.refused = ""
        self.begins: list[int] = []
        self.password = ""

    def part(self, path: str, begin: int) -> tuple[bytes, bool]:
        """Return what is sent of a file from begin on, and whether that is all."""
        self.begins.append(begin)
        data = self.content[path][begin:]
        self.cuts -= 1
        return (data[: len(data) // 2], False) if self.cuts >= 0 else (data, True)


class _Http(BaseHTTPRequestHandler):
    files: Files

    def do_GET(self) -> None:
        files = self.files
        begin = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        if files.refused or self.path not in files.content:
            self.send_error(int(files.refused or 404))
            return
        if begin and begin >= len(files.content[self.path]):
            self.send_error(416)
            return
        data, _ = files.part(self.path, begin)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(files.content[self.path]) - begin))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self) -> None:
        self.files.password = self.headers.get("Authorization", "")
        if self.files.refused:
            self.send_error(int(self.files.refused))
            return
        self.files.content[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Ftp(socketserver.StreamRequestHandler):
    files: Files

    def handle(self) -> None:
        self._say("220 ready")
        data, begin = None, 0
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            match word:
                case "USER":
                    self._say("331 password")
                case "PASS":
                    self.files.password = rest
                    self._say(f"{self.files.refused} no" if self.files.refused else "230 in")
                case "PASV":
                    data = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
                    self._say(f"227 here (127,0,0,1,{data.server_address[1] // 256},{data.server_address[1] % 256})")
                case "REST":
                    begin = int(rest)
                    self._say("350 from there")
                case "RETR" if "/" + rest not in self.files.content:
                    self._say("550 none")
                case "RETR" | "STOR":
                    assert data is not None
                    self._say("150 now")
                    self._transfer(data, word, "/" + rest, begin)
                    begin = 0
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("200 yes")

    def _transfer(self, data: Any, word: str, path: str, begin: int) -> None:
        connection, _ = data.get_request()
        whole = True
        with connection:
            if word == "STOR":
                self.files.content[path] = b"".join(iter(lambda: connection.recv(65536), b""))
            else:
                sent, whole = self.files.part(path, begin)
                connection.sendall(sent)
        data.server_close()
        self._say("226 done" if whole else "426 cut off")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


@contextmanager
def serving(scheme: str) -> Iterator[tuple[str, Files]]:
    """Serve files by http or ftp; yields the address and the files."""
    files = Files()
    handler = type("Handler", (_Http if scheme == "http" else _Ftp,), {"files": files})
    made = (ThreadingHTTPServer if scheme == "http" else _Server)(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{made.server_address[1]}", files
    finally:
        made.shutdown()
        made.server_close()
        thread.join(5.0)
