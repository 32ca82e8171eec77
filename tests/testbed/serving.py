"""What galley and the injector serve: a real TLS listener with the mounted certificate, and nothing behind it."""

import contextlib
import socketserver
import ssl
import threading
from pathlib import Path

HANDSHAKE_SECONDS = 10.0


class TlsListener:
    """Listens on a free port of 127.0.0.1; every connection is greeted and kept until the other side goes."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="webhook", daemon=True
        )
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def load(self, directory: Path) -> None:
        """Serve this certificate from now on; connections that are open keep theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "cert-chain.pem", directory / "key.pem")
        self._context = context

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        listener = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(HANDSHAKE_SECONDS)
                context = listener._context
                # clients that only look go away without a farewell
                with contextlib.suppress(OSError):
                    if context is not None:
                        with context.wrap_socket(self.request, server_side=True) as connection:
                            while connection.recv(4096):
                                pass

        return Handler


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
