"""The Kubeflow Pipelines API at an endpoint: how to be let in, and what its errors mean to a user."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fec.errors import ConfigurationError, FecError, RunFailed
from fec.parameters import parameter

# Seconds to be connected, and to be answered.
TIMEOUT: Final = (10, 60)
# Where kfp.Client finds out that it runs in a pod.
IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Unreachable(ConfigurationError):
    """Nothing answers at the endpoint: what the user gave is wrong, or the network is."""


class Unavailable(RunFailed):
    """The API could not be asked this time; it may be possible later."""


@dataclass(frozen=True)
class Access:
    """Where the API is and how to be let in, as ``kfp.Client`` takes it; secrets are never shown.

    What is not given is looked for where the ``kfp`` command looks: ``KFP_ENDPOINT``, ``KFP_NAMESPACE``,
    ``KFP_EXISTING_TOKEN``, ``KFP_IAP_CLIENT_ID``, ``KFP_OTHER_CLIENT_ID``, ``KFP_OTHER_CLIENT_SECRET``.
    """

    endpoint: str = parameter(
        help="URL of Kubeflow Pipelines (else KFP_ENDPOINT, else the cluster we run in)", default=""
    )
    ui_host: str = parameter(help="URL of its pages, if it is another one", default="")
    namespace: str = parameter(help="of a multi-user Kubeflow, that of your profile (else KFP_NAMESPACE)", default="")
    existing_token: str = parameter(
        help="bearer token; KFP_EXISTING_TOKEN or --existing-token-file keep it out of the process list",
        default="",
        repr=False,
    )
    existing_token_file: str = parameter(help="file that holds the bearer token", default="")
    client_id: str = parameter(help="OAuth client id of the Identity-Aware Proxy (else KFP_IAP_CLIENT_ID)", default="")
    other_client_id: str = parameter(help="OAuth client id of a desktop app (else KFP_OTHER_CLIENT_ID)", default="")
    other_client_secret: str = parameter(
        help="its secret; KFP_OTHER_CLIENT_SECRET keeps it out of the process list", default="", repr=False
    )
    cookies_file: str = parameter(help="file that holds the value of the Cookie header, for Dex", default="")
    proxy: str = parameter(help="URL of an HTTP proxy", default="")
    ssl_ca_cert: str = parameter(help="file of certificates to trust", default="")
    verify_ssl: bool = parameter(help="whether the server must show a certificate we trust", default=True)
    kube_context: str = parameter(help="kubectl context to reach the API through, without --endpoint", default="")

    def or_from(self, environment: Any) -> Access:
        """The same, with what is not given taken from ``environment``."""

        def given(value: str, variable: str) -> str:
            return value or environment.get(variable, "")

        return Access(
            endpoint=given(self.endpoint, "KFP_ENDPOINT").rstrip("/"),
            ui_host=self.ui_host.rstrip("/"),
            namespace=given(self.namespace, "KFP_NAMESPACE"),
            existing_token=self._secret("existing_token_file") or given(self.existing_token, "KFP_EXISTING_TOKEN"),
            client_id=given(self.client_id, "KFP_IAP_CLIENT_ID"),
            other_client_id=given(self.other_client_id, "KFP_OTHER_CLIENT_ID"),
            other_client_secret=given(self.other_client_secret, "KFP_OTHER_CLIENT_SECRET"),
            cookies_file=self.cookies_file,
            proxy=self.proxy,
            ssl_ca_cert=self.ssl_ca_cert,
            verify_ssl=self.verify_ssl,
            kube_context=self.kube_context,
        )

    def cookies(self) -> str | None:
        """The value of the Cookie header, or None."""
        return self._secret("cookies_file") or None

    def _secret(self, field: str) -> str:
        path = getattr(self, field)
        if not path:
            return ""
        try:
            return Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--{field.replace('_', '-')} {path}: {error}") from None


@dataclass(frozen=True)
class Endpoint:
    """A client that was let in; ``url`` is what to call it to a user, ``pages`` where a browser goes."""

    client: Any
    url: str
    pages: str
    namespace: str | None = None

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What a function of the client's generated API gives, within a time; errors as the user's or the run's."""
        return _explained(self.url, lambda: function(*arguments, _request_timeout=TIMEOUT, **options))

    def run_url(self, run_id: str) -> str:
        return f"{self.pages}/#/runs/details/{run_id}"


def connect(access: Access) -> Endpoint:
    """Say hello to the API.

    Raises ConfigurationError where nothing answers, where what answers is no KFP API, or where we are not let in.
    """
    access = access.or_from(os.environ)
    if not (access.endpoint or access.kube_context or os.environ.get("KF_PIPELINES_ENDPOINT") or IN_CLUSTER.exists()):
        raise ConfigurationError("no endpoint: give --endpoint URL, such as http://localhost:8080, or set KFP_ENDPOINT")
    for option, value in (("--endpoint", access.endpoint), ("--ui-host", access.ui_host)):
        if "@" in value:
            raise ConfigurationError(
                f"{option} holds a name or a password before an @: leave them out and give --existing-token-file"
            )
    # It announces each try again; the last error says it all. The clients set the level of its parent themselves.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if access.endpoint and not access.endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(f"endpoint {access.endpoint!r}: expected http://… or https://…")
    _check_secrets(access)
    shown = access.endpoint or access.kube_context or "this cluster"
    client = _explained(shown, lambda: _client(access))
    endpoint = Endpoint(client, shown, access.ui_host or access.endpoint or "/pipeline")
    health = endpoint.call(client.healthzs.healthz_service_get_healthz)
    if health.multi_user is None and health.pipeline_store is None:
        answer = endpoint.call(client.healthzs.healthz_service_get_healthz, _preload_content=False)
        if not _is_json(answer.data):
            raise ConfigurationError(
                f"endpoint {shown}: what answers is not the Kubeflow Pipelines API (a login page?); give the URL under "
                "which /apis/v2beta1/healthz answers, and a token"
            )
    if not health.multi_user:
        return endpoint  # where it knows no namespaces, it refuses them
    if not access.namespace:
        raise ConfigurationError(f"endpoint {shown} is a multi-user Kubeflow: give --namespace, that of your profile")
    return replace(endpoint, namespace=access.namespace)


def _check_secrets(access: Access) -> None:
    """Refuse what no header can hold without showing it, as the HTTP client would."""
    secrets = {"the token": access.existing_token, "the cookies": access.cookies() or ""}
    for name, value in secrets.items():
        if any(character < " " or character == "\x7f" for character in value):
            raise ConfigurationError(f"{name} cannot be sent: it has a line break or a control character in it")


def _client(access: Access) -> Any:
    """A ``kfp.Client``; it asks for healthz while it is made, several times and loudly, unless it has a namespace."""
    import kfp

    class Quiet(kfp.Client):  # type: ignore[misc]
        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
            return self.healthzs.healthz_service_get_healthz(_request_timeout=TIMEOUT)

    with warnings.catch_warnings(), _without_the_clients_own_words():
        warnings.simplefilter("ignore", FutureWarning)
        return Quiet(
            host=access.endpoint or None,
            client_id=access.client_id or None,
            namespace=access.namespace or "kubeflow",
            other_client_id=access.other_client_id or None,
            other_client_secret=access.other_client_secret or None,
            existing_token=access.existing_token or None,
            cookies=access.cookies(),
            proxy=access.proxy or None,
            ssl_ca_cert=access.ssl_ca_cert or None,
            kube_context=access.kube_context or None,
            ui_host=access.ui_host or None,
            verify_ssl=access.verify_ssl,
        )


@contextmanager
def _without_the_clients_own_words() -> Iterator[None]:
    """The body without what the client logs at the root, such as that it found no namespace."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _explained(url: str, action: Callable[[], Any]) -> Any:
    """What ``action`` gives; errors of the client in words."""
    import kfp_server_api
    import urllib3

    try:
        return action()
    except kfp_server_api.ApiException as error:
        raise _said(url, error) from None
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(f"endpoint {url} cannot be reached: {_line(reason)}") from None
    except OSError as error:
        raise ConfigurationError(f"endpoint {url}: {_line(error)}") from None


def _said(url: str, error: Any) -> FecError:
    """An answer that is no success, as an error of ours."""
    status, message = error.status or 0, _line(_message(error))
    if not status:
        return Unreachable(f"endpoint {url} cannot be reached: {message}")
    if status == 401:
        return ConfigurationError(
            f"endpoint {url} does not know us (401): give a token (--existing-token-file, "
            "KFP_EXISTING_TOKEN) or --client-id"
        )
    if status == 403:
        return ConfigurationError(f"endpoint {url} does not allow this (403): {message}")
    if status == 429 or status >= 500:
        return Unavailable(f"endpoint {url} failed ({status}): {message}")
    return ConfigurationError(f"endpoint {url} refused ({status}): {message}")


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _message(error: Any) -> str:
    try:
        value = json.loads(error.body)
        return str(value.get("message") or value.get("error_message") or value.get("error") or error.reason)
    except (TypeError, ValueError, AttributeError):
        return str(error.reason or "no reason given")


def _line(value: object, longest: int = 300) -> str:
    """One line of at most ``longest`` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
