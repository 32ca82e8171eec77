"""The configuration of a real Envoy that takes its certificates from a mounted secret.

Secrets come by file-based SDS, one file each, under the names that Istio uses (`default`, `ROOTCA`), with a
watched directory: so /certs and /config_dump look as they do in a mesh, and a new certificate is picked up
without a restart. Every handshake is a full one (no session resumption), and every request a handshake:
a certificate that somebody would refuse is seen at once and not when a connection happens to end.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Configuration = dict[str, Any]

TRUST_DOMAIN = "cluster.local"
TYPES = "type.googleapis.com/envoy"
HTTP_MANAGER = f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = f"{TYPES}.extensions.filters.http.router.v3.Router"
TLS = f"{TYPES}.extensions.transport_sockets.tls.v3"
HTTP_OPTIONS = f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"
REQUEST_SECONDS = "5s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One end of the mTLS traffic: listens here, sends there; `peer` is the other end's SPIFFE ID."""

    listens: int
    sends: int
    peer: str
    mutual_tls_in: bool  # True at the server: it takes mTLS and sends plain text to its application


def spiffe_id(namespace: str, service_account: str) -> str:
    """Give the identity that Citadel puts in this ServiceAccount's certificate."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


def write(directory: Path, side: Side, *, admin: int, name: str, certificates: Path) -> Path:
    """Write the configuration and its two secret files; `certificates` is the mounted secret."""
    secrets = {
        "default": {
            "tls_certificate": {
                "certificate_chain": {"filename": str(certificates / "cert-chain.pem")},
                "private_key": {"filename": str(certificates / "key.pem")},
                "watched_directory": {"path": str(certificates)},
            }
        },
        "ROOTCA": {
            "validation_context": {
                "trusted_ca": {"filename": str(certificates / "root-cert.pem")},
                "watched_directory": {"path": str(certificates)},
            }
        },
    }
    for secret, content in secrets.items():
        resource = {"@type": f"{TLS}.Secret", "name": secret, **content}
        _secret_file(directory, secret).write_text(json.dumps({"resources": [resource]}))
    path = directory / "envoy.json"
    path.write_text(json.dumps(_bootstrap(side, directory, admin=admin, name=name), indent=1))
    return path


def _bootstrap(side: Side, directory: Path, *, admin: int, name: str) -> Configuration:
    tls = _tls_context(directory, side.peer)
    incoming, outgoing = (tls, None) if side.mutual_tls_in else (None, tls)
    return {
        "node": {"id": name, "cluster": name.partition("-")[0]},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [_listener(side.listens, incoming)],
            "clusters": [_cluster(side.sends, outgoing)],
        },
    }


def _tls_context(directory: Path, peer: str) -> Configuration:
    names = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": peer}}]}
    return {
        "tls_certificate_sds_secret_configs": [_secret(directory, "default")],
        "combined_validation_context": {
            "default_validation_context": names,
            "validation_context_sds_secret_config": _secret(directory, "ROOTCA"),
        },
    }


def _secret(directory: Path, name: str) -> Configuration:
    source = {
        "path_config_source": {"path": str(_secret_file(directory, name))},
        "resource_api_version": "V3",
    }
    return {"name": name, "sds_config": source}


def _secret_file(directory: Path, name: str) -> Path:
    return directory / f"sds-{name}.json"


def _listener(port: int, tls: Configuration | None) -> Configuration:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": REQUEST_SECONDS}}
    manager = {
        "@type": HTTP_MANAGER,
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain: Configuration = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    }
    if tls is not None:
        context = {
            "@type": f"{TLS}.DownstreamTlsContext",
            "common_tls_context": tls,
            "require_client_certificate": True,
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
        }
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {"name": "in", "address": _address(port), "filter_chains": [chain]}


def _cluster(port: int, tls: Configuration | None) -> Configuration:
    endpoint = {"endpoint": {"address": _address(port)}}
    cluster: Configuration = {
        "name": "next",
        "type": "STATIC",
        "connect_timeout": REQUEST_SECONDS,
        "load_assignment": {"cluster_name": "next", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_OPTIONS,
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"max_requests_per_connection": 1},
            }
        },
    }
    if tls is not None:
        context = {
            "@type": f"{TLS}.UpstreamTlsContext",
            "common_tls_context": tls,
            "max_session_keys": 0,
        }
        cluster["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return cluster


def _address(port: int) -> Configuration:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
