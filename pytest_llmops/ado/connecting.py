"""A connection to a server of Azure DevOps that waits where it has to, and shows a token to that server alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from urllib3.util import Retry

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

TRIES = 3
BUSY = (429, 503)
"""Statuses after which a request is made again, as many times."""
_LONGEST_WAIT = 20.0  # seconds, whatever the server asks for


def session(token: str) -> requests.Session:
    """Make a session that signs in with a token."""
    made = requests.Session()
    made.auth = _Bearer(token)
    for scheme in ("https://", "http://"):
        made.mount(scheme, requests.adapters.HTTPAdapter(max_retries=_RETRIES))
    return made


class _Bearer(requests.auth.AuthBase):
    """Sends the token; without this, a .netrc file would come before it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Retry(Retry):
    """Waits as long as the server asks for, within reason."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, _LONGEST_WAIT)


# A request whose answer was lost is not made again: a thread might be added twice.
_RETRIES = _Retry(
    total=None,
    connect=TRIES,
    read=0,
    redirect=0,
    status=TRIES,
    other=0,
    status_forcelist=BUSY,
    allowed_methods=None,
    backoff_factor=0.2,
    raise_on_status=False,
    raise_on_redirect=False,
)
