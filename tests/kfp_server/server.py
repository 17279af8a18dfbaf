"""The server: experiments, pipelines, versions and runs, kept in memory."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.kfp_server.contract import Contract, Refused, Request
from tests.kfp_server.engine import Engine
from tests.kfp_server.uploads import Pipeline, form_parts, parse_document, parse_yaml

API: Final = "/apis/v2beta1"
ENDED: Final = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
CONTRACT: Final = Contract()
# Characters of a run's name that the database takes.
MAX_NAME: Final = 255


class Failure(Exception):
    """An answer that is no success: an HTTP status and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class PipelinesServer:
    """What the server holds and how it behaves; ``url`` is the endpoint to give to ``kfp``.

    ``token``: refuse whoever does not bring it (401). ``forbidden``: refuse everybody (403). ``engine`` runs the runs.
    ``outages``: how many of the next looks at a run are answered with 503.
    """

    url: str = ""
    multi_user: bool = False
    token: str = ""
    forbidden: bool = False
    engine: Engine = field(default_factory=Engine)
    outages: int = 0
    violations: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    recurring: list[dict[str, Any]] = field(default_factory=list)
    parsed: dict[str, Pipeline] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request, authorization: str, upload: bytes) -> Any:
        """The answer to ``request``; raises Failure with the status of anything but 200."""
        if self.token and authorization != f"Bearer {self.token}":
            raise Failure(401, "who are you?")
        if self.forbidden:
            raise Failure(403, "you may not")
        if self.outages and request.method == "GET" and request.path.startswith(f"{API}/runs/"):
            self.outages -= 1
            raise Failure(503, "try again later")
        try:
            operation = CONTRACT.check(request)
            answer = self._route(request, upload)
            CONTRACT.check_answer(operation, answer)
        except Refused as refused:
            self.violations.append(f"{request.method} {request.path}: {refused}")
            raise Failure(400, str(refused)) from None
        return answer

    def _route(self, request: Request, upload: bytes) -> Any:
        parts = request.path.removeprefix(API).strip("/").split("/")
        match request.method, parts:
            case "GET", ["healthz"]:
                return {"multi_user": self.multi_user, "pipeline_store": "database"}
            case "GET", ["experiments"]:
                return self._listed(request, "experiments", self.experiments)
            case "POST", ["experiments"]:
                return self._create_experiment(request.body)
            case "GET", ["experiments", identity]:
                return _one(self.experiments, "experiment_id", identity)
            case "GET", ["pipelines"]:
                return self._listed(request, "pipelines", self.pipelines)
            case "POST", ["pipelines"]:
                return self._create_pipeline(request.body)
            case "POST", ["pipelines", "upload"]:
                return self._upload(_flat(request), upload)
            case "POST", ["pipelines", "upload_version"]:
                return self._upload_version(_flat(request), upload)
            case "GET", ["pipelines", identity]:
                return _one(self.pipelines, "pipeline_id", identity)
            case "GET", ["pipelines", identity, "versions"]:
                mine = [version for version in self.versions if version["pipeline_id"] == identity]
                return self._listed(request, "pipeline_versions", mine)
            case "GET", ["pipelines", _, "versions", identity]:
                return _one(self.versions, "pipeline_version_id", identity)
            case "GET", ["runs"]:
                return self._listed(request, "runs", self.runs)
            case "POST", ["runs"]:
                return self._create_run(request.body)
            case "GET", ["recurringruns"]:
                return self._listed(request, "recurringRuns", self.recurring)
            case "POST", ["recurringruns"]:
                return self._create_recurring(request.body)
            case "GET", ["runs", identity]:
                return self._advance(_one(self.runs, "run_id", identity))
        raise Failure(501, f"this server has no {request.method} {request.path}")

    def _create_experiment(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.multi_user != bool(body.get("namespace")):
            raise Failure(400, "an experiment has a namespace in multi-user mode, and only there")
        _absent(self.experiments, display_name=body["display_name"], namespace=body.get("namespace", ""))
        made = {"experiment_id": _id(), "namespace": "", "created_at": _now(), "storage_state": "AVAILABLE"}
        self.experiments.append(made | body)
        return self.experiments[-1]

    def _create_pipeline(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body.get("name") or body.get("display_name")
        if not name:
            raise Failure(400, "a pipeline needs a name")
        _absent(self.pipelines, name=name)
        self.pipelines.append(
            {"display_name": name, "name": name} | body | {"pipeline_id": _id(), "created_at": _now()}
        )
        return self.pipelines[-1]

    def _upload(self, query: dict[str, str], data: bytes) -> dict[str, Any]:
        pipeline = parse_yaml(data)
        name = query.get("name") or pipeline.spec.pipeline_info.name
        body = {key: query[key] for key in ("display_name", "description", "namespace") if key in query}
        made = self._create_pipeline(body | {"name": name})
        self._keep_version(made["pipeline_id"], name, pipeline)
        return made

    def _upload_version(self, query: dict[str, str], data: bytes) -> dict[str, Any]:
        pipeline = parse_yaml(data)
        _one(self.pipelines, "pipeline_id", query.get("pipelineid", ""))
        return self._keep_version(query["pipelineid"], query.get("name", ""), pipeline)

    def _keep_version(self, pipeline_id: str, name: str, pipeline: Pipeline) -> dict[str, Any]:
        if not name:
            raise Failure(400, "a pipeline version needs a name")
        _absent(self.versions, name=name, pipeline_id=pipeline_id)
        version: dict[str, Any] = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": _id(),
            "name": name,
            "display_name": name,
            "created_at": _now(),
            "pipeline_spec": pipeline.document,
        }
        self.versions.append(version)
        self.parsed[str(version["pipeline_version_id"])] = pipeline
        return version

    def _create_run(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check_run(body)
        made: dict[str, Any] = {"run_id": _id(), "created_at": _now(), "storage_state": "AVAILABLE"}
        made["state"] = "PENDING"
        made["state_history"] = [{"update_time": _now(), "state": "PENDING"}]
        self.runs.append(body | made)
        return self.runs[-1]

    def _create_recurring(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check_run(body)
        if body.get("max_concurrency") is None or not body.get("trigger"):
            raise Failure(400, "a recurring run needs a trigger, and how many runs there may be at a time")
        _absent(self.recurring, display_name=body["display_name"], experiment_id=body["experiment_id"])
        self.recurring.append(body | {"recurring_run_id": _id(), "created_at": _now(), "status": "ENABLED"})
        return self.recurring[-1]

    def _check_run(self, body: dict[str, Any]) -> None:
        if not body.get("display_name"):
            raise Failure(400, "a run needs a name")
        if len(body["display_name"]) > MAX_NAME:
            raise Failure(500, "Data too long for column 'DisplayName'")
        _one(self.experiments, "experiment_id", body.get("experiment_id", ""))
        reference = body.get("pipeline_version_reference")
        if (reference is None) == ("pipeline_spec" not in body):
            raise Refused("a run needs either pipeline_spec or pipeline_version_reference")
        if reference is None:
            pipeline = parse_document(body["pipeline_spec"])
        else:
            version = _one(self.versions, "pipeline_version_id", reference.get("pipeline_version_id", ""))
            pipeline = self.parsed[version["pipeline_version_id"]]
        pipeline.check_parameters(body.get("runtime_config", {}).get("parameters", {}))

    def _advance(self, run: dict[str, Any]) -> dict[str, Any]:
        """The run, one state further on since it was looked at; no error and no message, as the real one has none."""
        seen = json.loads(json.dumps(run))
        if run["state"] == "PENDING":
            _enter(run, "RUNNING")
            run["run_details"] = {"task_details": self.engine.tasks(run["run_id"])}
        elif run["state"] == "RUNNING":
            for state in self.engine.play(run):
                _enter(run, state)
            run["run_details"] = {"task_details": self.engine.tasks(run["run_id"])}
        return seen  # type: ignore[no-any-return]

    def _listed(self, request: Request, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        query = _flat(request)
        for predicate in CONTRACT.parse_filter(query["filter"]) if query.get("filter") else []:
            items = [item for item in items if _holds(predicate, item)]
        for key in ("experiment_id", "namespace"):
            if query.get(key) and any(key in item for item in items):
                items = [item for item in items if item.get(key) == query[key]]
        if query.get("sort_by"):
            key, _, order = query["sort_by"].partition(" ")
            items = sorted(items, key=lambda item: str(item.get(key, "")), reverse=order == "desc")
        start, size = int(query.get("page_token") or 0), int(query.get("page_size") or 20) or 20
        answer: dict[str, Any] = {"total_size": len(items)}
        if items[start : start + size]:
            answer[name] = items[start : start + size]
        if start + size < len(items):
            answer["next_page_token"] = str(start + size)
        return answer


def _enter(run: dict[str, Any], state: str) -> None:
    run["state"] = state
    run["state_history"].append({"update_time": _now(), "state": state})
    if state in ENDED:
        run["finished_at"] = _now()


def _holds(predicate: dict[str, Any], item: dict[str, Any]) -> bool:
    key = predicate["key"]
    if key not in item:
        raise Refused(f"filter: there is no field {key!r} to filter by")
    value = item[key]
    tests: dict[str, Callable[[], bool]] = {
        "EQUALS": lambda: value == predicate["string_value"],
        "NOT_EQUALS": lambda: value != predicate["string_value"],
        "IS_SUBSTRING": lambda: predicate["string_value"] in value,
        "IN": lambda: value in predicate["string_values"]["values"],
    }
    if predicate["operation"] not in tests:
        raise Refused(f"filter: operation {predicate['operation']} on a string")
    return tests[predicate["operation"]]()


def _one(items: list[dict[str, Any]], key: str, value: str) -> dict[str, Any]:
    for item in items:
        if item[key] == value:
            return item
    raise Failure(404, f"there is no {key} {value!r}")


def _absent(items: list[dict[str, Any]], **values: str) -> None:
    if any(all(item[key] == value for key, value in values.items()) for item in items):
        raise Failure(409, f"there is one already: {values}")


def _flat(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in request.query.items()}


def _id() -> str:
    return str(uuid.uuid4())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class _Handler(BaseHTTPRequestHandler):
    state: PipelinesServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the client to acknowledge its head

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _handle(self, body: bytes) -> None:
        url = urlsplit(self.path)
        content_type = self.headers.get("Content-Type") or ""
        form = form_parts(content_type, body) if content_type.startswith("multipart/form-data") else {}
        with self.state.lock:
            self.state.requests.append(f"{self.command} {self.path}")
            try:
                request = Request(
                    self.command,
                    url.path,
                    parse_qs(url.query, keep_blank_values=True),
                    content_type,
                    json.loads(body) if body and not form else None,
                    tuple(form),
                )
                answer = self.state.answer(request, self.headers.get("Authorization", ""), form.get("uploadfile", b""))
                self._reply(200, answer)
            except Failure as failure:
                self._reply(failure.status, {"code": failure.status, "message": str(failure), "details": []})

    def _reply(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what was asked is in ``requests``."""


@contextmanager
def serving(**settings: Any) -> Iterator[PipelinesServer]:
    """A server on a free port of 127.0.0.1 with these ``settings`` of PipelinesServer."""
    state = PipelinesServer(**settings)
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
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
