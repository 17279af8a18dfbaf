"""The batch/v1 part of a Kubernetes API: Jobs are made, read and deleted; nothing runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

from fec.kube_syntax import amount

PATH: Final = re.compile(r"/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(?:/(?P<name>[^/]+))?")
PODS: Final = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(?:/(?P<name>[^/]+)/log)?")
SERVICES: Final = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/services")
CONFIG_MAPS: Final = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/configmaps/(?P<name>[^/]+)")
QUERY: Final[Mapping[str, frozenset[str]]] = {
    "POST": frozenset({"pretty", "dryRun", "fieldManager", "fieldValidation"}),
    "GET": frozenset({"pretty"}),
    "DELETE": frozenset({"pretty", "dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"}),
}


def faults(job: dict[str, Any], version: str) -> list[str]:
    """What Kubernetes of this version would not accept in a Job: its schema, strictly, and the rules beside it.

    The rules are those of pkg/apis/batch/validation in the source of Kubernetes that an Indexed Job can break.
    """
    try:
        kubernetes_validate.validate(job, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    spec, pod, name = job["spec"], job["spec"]["template"]["spec"], job["metadata"]["name"]
    rules = spec.get("podFailurePolicy", {}).get("rules", [])
    host = f"{name}-{spec['completions'] - 1}"
    broken = {
        "completionMode": spec["completionMode"] == "Indexed",
        "completions and parallelism": spec["completions"] >= 1 and 1 <= spec["parallelism"] <= 100_000,
        "many completions": spec["completions"] <= 100_000
        or (spec["parallelism"] <= 10_000 and spec["maxFailedIndexes"] <= 10_000),
        "maxFailedIndexes": spec["maxFailedIndexes"] <= spec["completions"],
        "host name": len(host) <= 63 and re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", host) is not None,
        "podFailurePolicy needs restartPolicy Never": not rules or pod["restartPolicy"] == "Never",
        "one requirement a rule": all(("onExitCodes" in rule) != ("onPodConditions" in rule) for rule in rules),
        "FailIndex needs backoffLimitPerIndex": "backoffLimitPerIndex" in spec,
        "containerName of a rule": {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule}
        <= {container["name"] for container in pod["containers"]},
        "exit codes are not 0": all(0 not in rule.get("onExitCodes", {}).get("values", []) for rule in rules),
        "limits are not below requests": all(
            amount(request) <= amount(container["resources"]["limits"][name])
            for container in pod["containers"]
            for name, request in container["resources"]["requests"].items()
        ),
        "mounts are volumes": {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        <= {volume["name"] for volume in pod["volumes"]},
        "values of labels": all(len(value) <= 63 for value in job["metadata"]["labels"].values()),
    }
    return [rule for rule, held in broken.items() if not held]


@dataclass
class KubeServer:
    """What the server holds; ``jobs`` by namespace and name. ``forbidden``: refuse everybody (403)."""

    url: str = ""
    version: str = "1.33"
    forbidden: bool = False
    namespaces: tuple[str, ...] = ("default", "fec")
    jobs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    config_maps: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    services: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def kubeconfig(self, folder: Path) -> str:
        """A kubeconfig for this server, whose context works in the namespace ``fec``."""
        path = folder / "kubeconfig"
        value = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "fec"}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump(value))
        return str(path)

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> tuple[int, Any]:
        match = PATH.fullmatch(path)
        if self.forbidden:
            return self._status(403, "Forbidden", "jobs is forbidden")
        if method == "GET" and (of_pods := PODS.fullmatch(path)):
            return self._pods(of_pods["name"], query)
        if method == "GET" and (of_map := CONFIG_MAPS.fullmatch(path)):
            return self._config_map(of_map["namespace"], of_map["name"])
        if method == "POST" and (of_services := SERVICES.fullmatch(path)):
            kubernetes_validate.validate(body, self.version, strict=True)
            self.services[of_services["namespace"], body["metadata"]["name"]] = body
            return 201, body
        if match is None or method not in QUERY or not set(query) <= QUERY[method]:
            self.violations.append(f"{method} {path}: no such request")
            return self._status(400, "BadRequest", "no such request")
        namespace, name = match["namespace"], match["name"]
        if method == "POST":
            return self._create(namespace, body)
        if (namespace, name) not in self.jobs:
            return self._status(404, "NotFound", f'jobs.batch "{name}" not found')
        return 200, self.jobs[namespace, name] if method == "GET" else self.jobs.pop((namespace, name))

    def _pods(self, name: str | None, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        """The pods that a selector of labels chooses, or the last lines of one's log."""
        if name is not None:
            if name not in self.logs:
                return self._status(404, "NotFound", f'pods "{name}" not found')
            return 200, "\n".join(self.logs[name].splitlines()[-int(query["tailLines"][0]) :]) + "\n"
        label, _, value = query["labelSelector"][0].partition("=")
        chosen = [pod for pod in self.pods if pod["metadata"]["labels"].get(label) == value]
        return 200, {"kind": "PodList", "apiVersion": "v1", "items": chosen}

    def _config_map(self, namespace: str, name: str) -> tuple[int, Any]:
        if (namespace, name) not in self.config_maps:
            return self._status(404, "NotFound", f'configmaps "{name}" not found')
        metadata = {"name": name, "namespace": namespace}
        data = self.config_maps[namespace, name]
        return 200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}

    def _create(self, namespace: str, job: Any) -> tuple[int, Any]:
        found = faults(job, self.version)
        if found:
            self.violations += found
            return self._status(422, "Invalid", "; ".join(found))
        if namespace not in self.namespaces:
            return self._status(404, "NotFound", f'namespaces "{namespace}" not found')
        key = (namespace, job["metadata"]["name"])
        if key in self.jobs:
            return self._status(409, "AlreadyExists", f'jobs.batch "{key[1]}" already exists')
        self.jobs[key] = job | {
            "metadata": job["metadata"] | {"namespace": namespace, "uid": f"uid-{key[1]}"},
            "status": {},
        }
        return 201, self.jobs[key]

    def _status(self, code: int, reason: str, message: str) -> tuple[int, Any]:
        return code, {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


class _Handler(BaseHTTPRequestHandler):
    state: KubeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the client to acknowledge its head

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        status, value = self.state.answer(
            self.command, url.path, parse_qs(url.query, keep_blank_values=True), json.loads(body) if body else None
        )
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what counts is in ``jobs`` and ``violations``."""


@contextmanager
def serving(**settings: Any) -> Iterator[KubeServer]:
    """A server on a free port of 127.0.0.1 with these ``settings`` of KubeServer."""
    state = KubeServer(**settings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
