"""Exceptions of Azure's libraries, as one clear line each."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from pytest_llmops.errors import AccessError, CloudError, LLMOpsError
from pytest_llmops.secrets import without_secrets

_LIBRARIES = {"azure", "promptflow", "msrest", "msal", "marshmallow", "requests", "urllib3", "httpx"}
_LOGGERS = ("azure", "msal", "msrest")
_LONGEST = 600  # characters of what the service says
_TRACE = re.compile(r"\s+RequestId:")  # what storage says after it, for those who run it
_STATUS = re.compile(r"Status code: (\d{3})\b")
_NO_WORKSPACE = re.compile(r"Microsoft\.MachineLearningServices/workspaces/[^/'\s]+'")
_NOWHERE = {
    "SubscriptionNotFound",
    "InvalidSubscriptionId",
    "ResourceGroupNotFound",
    "InvalidAuthenticationTokenTenant",
}


class LoginError(AccessError):
    """There is no token now. Where there was one before, there may be one at the next try."""


@contextmanager
def installed() -> Iterator[None]:
    """Surround imports of Azure's libraries. What they log is shown only where somebody has set up logging.

    Raises:
        AccessError: where they are not installed, or not in versions that work together.
    """
    try:
        with warnings.catch_warnings():
            # The libraries warn of each other, which would be an error where sessions make errors of warnings.
            warnings.simplefilter("ignore")
            yield
        # Without a handler, Python prints warnings; what matters is raised, and then said on one line.
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(logging.NullHandler())
    except ImportError as error:
        missing = f"no module '{error.name}'" if isinstance(error, ModuleNotFoundError) else str(error)
        todo = "install them: pip install 'pytest-llmops[azure]'"
        raise AccessError(f"Azure needs packages that are not installed, or too new ({missing}); {todo}") from None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Surround calls to Azure. ``what`` is what is being done, such as ``endpoint 'web': create``.

    Raises:
        AccessError: where there is no login, an expired one, no right, or no such workspace.
        CloudError: for everything else that the service refused or failed at. Faults of our own go through.
    """
    try:
        yield
    except LLMOpsError:
        raise
    except Exception as error:
        if (known := _login_failure(error)) is not None:
            raise known from error
        if not _is_theirs(error):
            raise
        raise _as_ours(what, error) from error


def said(error: BaseException) -> str:
    """Return what a service or library said, on one line and without secrets."""
    told = without_secrets(_told(_answer(error) or error))
    return " ".join(told.split())[:_LONGEST].rstrip(" .")


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that a call failed with, if it is one of an answer."""
    answer = _answer(error)
    if answer is not None:
        return int(answer.status_code)
    written = _STATUS.search(str(error))
    return int(written[1]) if written else None


def code_of(error: BaseException) -> str:
    """Return the service's own code of a failure, such as ``ResourceNotFound``; empty where it gave none."""
    odata = getattr(_answer(error), "error", None)
    return str(getattr(odata, "code", "") or "")


def login_failed(error: BaseException) -> bool:
    """Tell whether a call failed for want of a token, and was not even made."""
    return any(isinstance(link, LoginError) for link in _chain(error))


def _as_ours(what: str, error: Exception) -> LLMOpsError:
    status, code, words = status_of(error), code_of(error), said(error)
    if status == HTTPStatus.UNAUTHORIZED:
        return AccessError(f"{what}: the login was refused ({words}); log in again, to the tenant of the workspace")
    if code in _NOWHERE or (status == HTTPStatus.NOT_FOUND and _NO_WORKSPACE.search(words)):
        return AccessError(f"{what}: {words}; correct the subscription, the resource group or the workspace's name")
    if status == HTTPStatus.FORBIDDEN:
        return AccessError(f"{what}: no right to do this ({words}); have the login given a role that allows it")
    detail = ", ".join(filter(None, (code, f"HTTP {status}" if status and status >= 400 else "")))
    return CloudError(f"{what}: {words}" + (f" ({detail})" if detail else ""))


def _told(error: BaseException) -> str:
    odata: Any = getattr(error, "error", None)
    if getattr(odata, "message", None):
        details = (getattr(detail, "message", None) for detail in getattr(odata, "details", None) or ())
        return "; ".join(dict.fromkeys(str(text).strip(" .") for text in (odata.message, *details) if text))
    return _TRACE.split(str(getattr(error, "message", "") or error or type(error).__name__))[0]


def _answer(error: BaseException) -> Any:
    """Find the failed HTTP answer in a chain of exceptions."""
    return next((link for link in _chain(error) if isinstance(getattr(link, "status_code", None), int)), None)


def _login_failure(error: BaseException) -> AccessError | None:
    return next((link for link in _chain(error) if isinstance(link, AccessError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go through an exception and those that it was made of, however the library keeps them."""
    seen: set[int] = set()
    found: list[Any] = [error]
    while found:
        link = found.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            found += [getattr(link, name, None) for name in ("inner_exception", "_inner_exception")]
            found += [link.__cause__, link.__context__]


def _is_theirs(error: Exception) -> bool:
    """Tell whether a library or the network failed, and not code of ours."""
    kinds = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return bool(kinds & _LIBRARIES) or isinstance(error, (ConnectionError, TimeoutError)) or _was_raised_there(error)


def _was_raised_there(error: Exception) -> bool:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__")).split(".")[0] in _LIBRARIES
