"""The one setting of Kubeflow's workflow controller that a run feels, where the cluster lets us look at it.

``templateDefaults`` in its ``workflowDefaults``, as 2.17's own manifests have them, give every node of a run a second
one, and keep a task that ended with an error from being tried again (the figures: pipelines/graph/limits.py).
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from typing import Any, Final

import yaml

CONFIG_MAP: Final = "workflow-controller-configmap"
NAMESPACE: Final = "kubeflow"
# Seconds to be connected and to be answered: nobody waits for advice.
TIMEOUT: Final = (2, 3)


def advice(context: str = "") -> str:
    """What to do about the controller of our cluster, as a command; "" where nothing is, or it is not seen."""
    try:
        data = _config_map(context).data or {}
        defaults = yaml.safe_load(data.get("workflowDefaults", ""))
        if not isinstance(defaults, dict) or "templateDefaults" not in (defaults.get("spec") or {}):
            return ""
    except Exception:  # no cluster, no right to look, no such thing there: then there is no advice
        logging.getLogger(__name__).debug("the controller's settings cannot be seen", exc_info=True)
        return ""
    spec = {name: value for name, value in defaults["spec"].items() if name != "templateDefaults"}
    patch = json.dumps({"data": {"workflowDefaults": yaml.safe_dump(defaults | {"spec": spec})}})
    return (
        "this Kubeflow keeps every node of a run twice and never starts a task again that ended with an error; both "
        "end (and a driver whose pod is lost is then not tried again) with: "
        f"kubectl patch configmap {CONFIG_MAP} -n {NAMESPACE} --type merge -p {shlex.quote(patch)} && "
        f"kubectl rollout restart deployment workflow-controller -n {NAMESPACE}"
    )


def _config_map(context: str) -> Any:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        # The client looks at the variable once, when it is imported.
        config.load_kube_config(os.environ.get("KUBECONFIG"), context or None, configuration)
    except config.ConfigException:
        config.load_incluster_config(client_configuration=configuration)
    configuration.retries = False
    api = client.CoreV1Api(client.ApiClient(configuration))
    return api.read_namespaced_config_map(CONFIG_MAP, NAMESPACE, _request_timeout=TIMEOUT)
