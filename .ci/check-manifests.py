"""Checks rendered Kubernetes manifests: against the published schemas, and the references between them.

    python3 .ci/check-manifests.py RENDERED.yaml...

Each file is the output of `kustomize build` of one overlay. Requires the package kubernetes-validate, which contains the
schemas. What a cluster adds (defaults, admission, whether images and secrets exist) is not checked.
"""

import sys
from collections import Counter

import kubernetes_validate
import yaml

VERSION = "1.34"
# Created by the operator or by cert-manager: docs/DEPLOYMENT.md.
SECRETS = {"savannah-secrets", "savannah-tls"}


def pod_templates(documents):
    """Returns the metadata and the spec of all pod templates."""
    for document in documents:
        template = document.get("spec", {}).get("template")
        if document["kind"] in ("Deployment", "Job"):
            yield document, template["metadata"], template["spec"]


def is_selected(selector, labels):
    return selector and all(labels.get(key) == value for key, value in selector.items())


def check_schema(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        yield f"schema: {getattr(error, 'message', error)} at {list(getattr(error, 'path', []))}"


def check_pod(spec, names):
    """Checks references and security settings of a pod."""
    if spec.get("serviceAccountName") not in names["ServiceAccount"]:
        yield f"unknown service account {spec.get('serviceAccountName')}"
    if spec.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of the service account"
    pod_security = spec.get("securityContext", {})
    if pod_security.get("runAsNonRoot") is not True or pod_security.get("runAsUser") in (None, 0):
        yield "the pod may run as root"
    if pod_security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for volume in volumes.values():
        if "emptyDir" in volume:
            if "sizeLimit" not in volume["emptyDir"]:
                yield f"the volume {volume['name']} has no size limit"
        elif volume.get("secret", {}).get("secretName") not in SECRETS:
            yield f"unknown secret of the volume {volume['name']}"
    for container in spec["containers"]:
        security = container.get("securityContext", {})
        if security.get("readOnlyRootFilesystem") is not True or security.get("allowPrivilegeEscalation") is not False:
            yield f"container {container['name']} may write to its file system or gain privileges"
        if security.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"container {container['name']} has capabilities"
        if not container.get("resources", {}).get("requests") or "memory" not in container["resources"].get("limits", {}):
            yield f"container {container['name']} has no resources"
        if container["image"].endswith(":latest") or ":" not in container["image"]:
            yield f"container {container['name']} has no version"
        for source in container.get("envFrom", []):
            if source["configMapRef"]["name"] not in names["ConfigMap"]:
                yield f"unknown ConfigMap {source['configMapRef']['name']}"
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"unknown volume {mount['name']}"
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if ports and probe not in container:
                yield f"container {container['name']} has no {probe}"
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if port is not None and port not in ports:
                yield f"{probe} uses the unknown port {port}"


def check_references(documents):
    """Checks what documents refer to."""
    names = {kind: set() for kind in ("ServiceAccount", "ConfigMap", "Deployment", "Service", "Secret")}
    for document in documents:
        names.setdefault(document["kind"], set()).add(document["metadata"]["name"])
    if names["Secret"]:
        yield "secrets belong into the cluster, not into files"
    pods = list(pod_templates(documents))
    if not pods:
        yield "there are no pods"
    images = {container["image"] for _, _, spec in pods for container in spec["containers"]}
    if len(images) > 1:
        yield f"different images: {sorted(images)}"
    namespaces = {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"}
    if len(namespaces) != 1 or not namespaces <= names.get("Namespace", set()):
        yield f"namespaces {namespaces}, of which {names.get('Namespace')} exist"
    keys = Counter((d["kind"], d["metadata"]["name"]) for d in documents)
    yield from (f"{key} is declared {count} times" for key, count in keys.items() if count > 1)

    def selected(selector):
        return [spec for _, metadata, spec in pods if is_selected(selector, metadata["labels"])]

    def container_ports(specs):
        return {port["name"] for spec in specs for c in spec["containers"] for port in c.get("ports", [])}

    for owner, metadata, spec in pods:
        for fault in check_pod(spec, names):
            yield f"{owner['kind']} {owner['metadata']['name']}: {fault}"
        selector = owner["spec"].get("selector", {}).get("matchLabels")
        if owner["kind"] == "Deployment" and not is_selected(selector, metadata["labels"]):
            yield f"{owner['metadata']['name']} does not select its own pods"
        for constraint in spec.get("topologySpreadConstraints", []):
            if selected(constraint["labelSelector"]["matchLabels"]) != [spec]:
                yield f"{owner['metadata']['name']} spreads other pods"
    services = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Service"}
    for document in documents:
        kind, name, spec = document["kind"], document["metadata"]["name"], document.get("spec", {})
        if kind == "Service":
            specs = selected(spec["selector"])
            if len(specs) != 1:
                yield f"Service {name} selects {len(specs)} kinds of pods"
            yield from (f"Service {name}: unknown port {port['targetPort']}" for port in spec["ports"]
                        if port["targetPort"] not in container_ports(specs))
        elif kind == "Ingress":
            hosts = {host for tls in spec["tls"] for host in tls["hosts"]}
            yield from (f"Ingress {name}: unknown secret {tls['secretName']}" for tls in spec["tls"]
                        if tls["secretName"] not in SECRETS)
            for rule in spec["rules"]:
                if rule["host"] not in hosts:
                    yield f"Ingress {name}: {rule['host']} has no TLS"
                for path in rule["http"]["paths"]:
                    backend = path["backend"]["service"]
                    service = services.get(backend["name"])
                    ports = {port["name"] for port in service["spec"]["ports"]} if service else set()
                    if backend["port"]["name"] not in ports:
                        yield f"Ingress {name}: unknown service or port {backend}"
        elif kind == "HorizontalPodAutoscaler":
            if spec["scaleTargetRef"]["name"] not in names["Deployment"]:
                yield f"{kind} {name}: unknown target"
            target = next((d for d in documents if d["kind"] == "Deployment"
                           and d["metadata"]["name"] == spec["scaleTargetRef"]["name"]), {"spec": {}})
            if "replicas" in target["spec"]:
                yield f"{kind} {name}: the deployment sets the number of replicas, too"
        elif kind == "PodDisruptionBudget" and len(selected(spec["selector"]["matchLabels"])) != 1:
            yield f"{kind} {name} selects no pods"
        elif kind == "NetworkPolicy" and len(selected(spec["podSelector"]["matchLabels"])) != len(pods):
            yield f"{kind} {name} does not select all pods"


def main(files):
    faults, count = [], 0
    for file in files:
        with open(file, encoding="utf-8") as stream:
            documents = [document for document in yaml.safe_load_all(stream) if document]
        count += len(documents)
        for document in documents:
            faults += [f"{file}: {document['kind']} {document['metadata']['name']}: {fault}"
                       for fault in check_schema(document)]
        faults += [f"{file}: {fault}" for fault in check_references(documents)]
    print("\n".join(faults) or f"{count} manifests in {len(files)} files match the schemas of Kubernetes {VERSION}")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
