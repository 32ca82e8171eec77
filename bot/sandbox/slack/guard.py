"""Keeps web pages from elsewhere out: the stand-in runs on a developer's machine, next to a browser.

Every request has to name a loopback host (a name that somebody else's DNS points here does not count), and
whatever acts through /sandbox has to come from the stand-in's own page or from no page at all.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse strangers' requests; tell the browser to run nothing but the page's own script."""
    if (request.url.host or "") not in LOOPBACK:
        raise web.HTTPForbidden(text="this server answers on the loopback address only")
    if request.method == "POST" and request.path.startswith("/sandbox/") and not _from_own_page(request):
        raise web.HTTPForbidden(text="other web pages may not act here")
    response = await handler(request)
    if not response.prepared:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
    return response


def _from_own_page(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    own = origin in (None, f"http://{request.host}")
    site = request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
    return own and site and request.content_type == "application/json"
