"""Owns the official Kubernetes client: authentication, TLS, one raw call, one stream, their time-outs.

With `bounded` and `credentials` the only file that touches `kubernetes`, `urllib3` and the WebSocket's
opening; their untyped values and their exceptions end here. Bodies stay raw bytes: the library's models
cost twice the time and would make Python objects of every private key in a list.
"""

import os
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import urllib3
import websocket
import yaml
from kubernetes import client as kubernetes
from kubernetes import config as kubernetes_config
from kubernetes.config import incluster_config
from kubernetes.stream import ws_client
from urllib3.exceptions import HTTPError

from bot.edges.kube import bounded, credentials, translate
from bot.edges.kube.credentials import PluginHung, TokenFile
from bot.edges.kube.deadline import Deadline
from bot.edges.kube.translate import Doing
from bot.errors import ClusterUnreachable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
"""Between two pieces of an answer; a page of 500 secrets takes a tenth of a second."""

ANSWER_SECONDS = 120.0
"""For a whole answer: 10,000 secrets in one piece, 57 MB, at half a megabyte a second."""

CONNECTIONS = 32
"""Kept open: 16 probes and the lists beside them."""

USER_AGENT = "rootkeeper"

_ANOTHER_KUBECONFIG = (
    "Name one in ROOTKEEPER_KUBECONFIG and, in ROOTKEEPER_MESHES, a context that stands in it."
)

_LOG_IN = "It may be waiting for a login: log in where the bot runs, or name a kubeconfig without a plugin."

_UNUSABLE = (
    kubernetes_config.ConfigException,
    yaml.YAMLError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
)
"""What a broken kubeconfig, a missing token and the like make the library raise."""

_UNSENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
    urllib3.exceptions.LocationValueError,
)

# The library's functions have no annotations, or wrong ones.
_load_kube_config: Any = kubernetes_config.load_kube_config
_load_incluster_config: Any = kubernetes_config.load_incluster_config
_with_proxy: Any = ws_client.websocket_proxycare

Query = Iterable[tuple[str, str]]
Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    body: bytes
    date: datetime | None
    """Of the server's clock, to the second; None when it sent none."""


class Connection:
    """One cluster's API server, spoken to in single requests."""

    def __init__(self, api: Any, token: TokenFile | None = None) -> None:
        self._api = api
        self._token = token
        api.user_agent = USER_AGENT
        bounded.bind(api.rest_client.pool_manager)

    def close(self) -> None:
        """Let go of every socket."""
        self._api.close()

    def send(
        self,
        doing: Doing,
        method: str,
        *,
        path: str = "",
        query: Query = (),
        body: Json | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        deadline: Deadline | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, within ANSWER_SECONDS or by an earlier deadline.

        Raises:
            What `translate` makes of it: errors of `bot.errors`, or `Private` and `Expired`.
        """
        url, headers = self._prepared(doing, method, path or doing.target.path, query)
        headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        deadline = deadline or Deadline(ANSWER_SECONDS)
        reply, content = self._exchange(doing, method, url, headers, body, deadline)
        if reply.status == 401 and self._token and self._token.renewed(headers["authorization"]):
            headers["authorization"] = self._token.authorization()
            reply, content = self._exchange(doing, method, url, headers, body, deadline)
        if not 200 <= reply.status < 300:
            wait = reply.headers.get("Retry-After")
            raise translate.refusal(doing, reply.status, content, retry_after=wait)
        return Answer(body=content, date=_date(reply.headers.get("Date")))

    def _exchange(
        self,
        doing: Doing,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Json | None,
        deadline: Deadline,
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        rest = deadline.left()
        bounds = (min(CONNECT_SECONDS, rest), min(READ_SECONDS, rest))
        try:
            with bounded.answered_by(deadline):
                reply = self._api.call_api(method, url, headers, body, _request_timeout=bounds).response
                try:
                    return reply, reply.data
                finally:
                    reply.release_conn()
        except _UNSENT as fault:
            raise translate.unsent(doing, str(fault)) from None
        except urllib3.exceptions.TimeoutError as fault:
            raise translate.timed_out(doing, str(fault)) from None
        except kubernetes.ApiException as fault:
            # What the library makes of a TLS fault; its str() is a form of several lines.
            raise translate.unanswered(doing, str(fault.reason)) from None
        except (HTTPError, OSError) as fault:
            raise translate.unanswered(doing, str(fault) or type(fault).__name__) from None

    def _prepared(self, doing: Doing, method: str, path: str, query: Query) -> tuple[str, dict[str, str]]:
        """URL and headers; of the credentials, what they are now."""
        try:
            _, url, headers, _, _ = self._api.param_serialize(
                method, path, query_params=list(query), header_params={}, auth_settings=["BearerToken"]
            )
            if self._token:
                headers["authorization"] = self._token.authorization()
        except (*_UNUSABLE, PluginHung) as fault:
            raise translate.unsent(doing, f"the bot has no credentials: {fault}") from None
        return url, headers

    def stream(self, doing: Doing, *, query: Query, protocols: str, seconds: float) -> websocket.WebSocket:
        """Open a WebSocket; the caller closes it.

        The library's own `stream` swaps a method of the shared client while it connects and knows no
        time-out for that, so it can serve neither threads nor a server that hangs.

        Raises:
            ClusterForbidden, ObjectAbsent, ClusterRefused, ClusterUnreachable.
        """
        url, headers = self._prepared(doing, "GET", doing.target.path, query)
        opened = websocket.WebSocket(sslopt=self._tls(), skip_utf8_validation=True)
        connect: Callable[..., None] = opened.connect
        try:
            connect(_websocket_url(url), **self._options(url, headers, protocols, seconds))
        except websocket.WebSocketBadStatusException as fault:
            body = fault.resp_body if isinstance(fault.resp_body, bytes) else b""
            refused = translate.refusal(doing, fault.status_code, body, retry_after=None)
            raise translate.public(refused) from None
        except (websocket.WebSocketException, OSError) as fault:
            raise translate.unsent(doing, str(fault)) from None
        return opened

    def _options(self, url: str, headers: dict[str, str], protocols: str, seconds: float) -> dict[str, Any]:
        sent = [f"sec-websocket-protocol: {protocols}"]
        if "authorization" in headers:
            sent.append(f"authorization: {headers['authorization']}")
        # One bound for all of it: the API server answers only when it has reached the node.
        # No redirect is followed: the token would go along.
        options: dict[str, Any] = {"header": sent, "timeout": seconds, "redirect_limit": 0}
        settings = self._api.configuration
        if settings.proxy or settings.proxy_headers:
            options = _with_proxy(options, settings, url, headers)
        return options

    def _tls(self) -> dict[str, Any]:
        settings = self._api.configuration
        if not settings.verify_ssl:
            return {"cert_reqs": ssl.CERT_NONE, "check_hostname": False} | self._own_certificate()
        return {
            "cert_reqs": ssl.CERT_REQUIRED,
            "check_hostname": settings.assert_hostname is not False,
            **_present(ca_certs=settings.ssl_ca_cert, server_hostname=settings.tls_server_name),
            **self._own_certificate(),
        }

    def _own_certificate(self) -> dict[str, Any]:
        settings = self._api.configuration
        return _present(certfile=settings.cert_file, keyfile=settings.key_file)


def from_kubeconfig(path: Path | None = None, *, context: str | None = None) -> Connection:
    """Connect as a kubeconfig says; the default file, its current context where nothing is named.

    Raises:
        ClusterUnreachable: the file cannot be used.
    """
    settings = _settings()
    name = str(path) if path else None
    # the library takes several, as in $KUBECONFIG, and leaves out those that are not there
    if name and not any(_may_be_there(Path(one)) for one in name.split(os.pathsep)):
        raise ClusterUnreachable(f"there is no kubeconfig at {path}", hint=_ANOTHER_KUBECONFIG)
    credentials.bound_plugins()
    try:
        _load_kube_config(name, context=context, client_configuration=settings, persist_config=False)
        token = credentials.token_file(name, context)
    except (*_UNUSABLE, PluginHung) as fault:
        shapeless = isinstance(fault, TypeError | AttributeError)
        text = "it is not written as a kubeconfig is" if shapeless else translate.cut(str(fault))
        raise ClusterUnreachable(
            f"{name or 'the default kubeconfig'} cannot be used: {text}",
            hint=_LOG_IN if isinstance(fault, PluginHung) else _ANOTHER_KUBECONFIG,
        ) from None
    return _connected(settings, TokenFile(token) if token else None)


def _may_be_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may not be asked: reading it will say so
        return True
    return True


def in_cluster() -> Connection:
    """Connect with the pod's own ServiceAccount; its token is read again when it is renewed.

    Raises:
        ClusterUnreachable: this is no pod.
    """
    settings = _settings()
    try:
        _load_incluster_config(client_configuration=settings)
    except kubernetes_config.ConfigException as fault:
        raise ClusterUnreachable(f"this is not a pod of a cluster: {translate.cut(str(fault))}") from None
    return _connected(settings, TokenFile(Path(incluster_config.SERVICE_TOKEN_FILENAME)))


def _connected(settings: Any, token: TokenFile | None) -> Connection:
    if token:
        settings.refresh_api_key_hook = (
            None  # reads the file once, or reads it again and fails when it is empty
        )
    return Connection(kubernetes.ApiClient(settings), token)


def _settings() -> Any:
    settings = kubernetes.Configuration()
    settings.retries = False  # urllib3 would obey any Retry-After and repeat what must be looked at first
    settings.connection_pool_maxsize = CONNECTIONS
    return settings


def _present(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value}


def _date(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError):
        return None


def _websocket_url(url: str) -> str:
    scheme, *rest = urlsplit(url)
    return urlunsplit(("wss" if scheme == "https" else "ws", *rest))
