"""GET for whoever asks once and waits: the audit, what sets up local parts, and the tour."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def get(url: str, within: float) -> Iterator[Any]:
    """The answer to a GET, as ``urllib`` gives it; ``within`` are seconds for each step of it.

    Whatever ``http_proxy`` says, this machine is asked without a proxy, as Go's programs and
    browsers do: a proxy elsewhere has another loopback. Raises ``OSError`` where there is no answer
    in HTTP/1, also while it is read, and ``ValueError`` where that is no URL; an answer that is no
    success is ``urllib.error.HTTPError``, an ``OSError`` too.
    """
    opened = _DIRECT.open if _is_here(urlsplit(url).hostname or "") else urllib.request.urlopen
    try:
        with opened(url, timeout=within) as answer:
            yield answer
    except OSError:
        raise  # RemoteDisconnected is an HTTPException as well
    except http.client.InvalidURL:
        # Its text holds a part of the URL, and that may be a password.
        raise ValueError("that is no URL such as http://HOST:PORT/PATH") from None
    except http.client.HTTPException as error:
        raise OSError(f"no whole answer in HTTP/1: {error!r}") from error


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
