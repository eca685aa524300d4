#!/usr/bin/env bash
# Validates what is below deploy/ with the tools of those who will run it.
#
#   deploy-check.sh BIN PENSTOCK
#
# BIN holds helm, kubectl-validate and compose (`make deploy-check` builds them from their Go
# modules); PENSTOCK is a penstock binary with the feature `cluster`, for `check-config`.
set -euo pipefail
bin=$1
penstock=$2
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "systemd units"
# The units name /usr/bin/penstock, which need not be installed here: a copy under a root that has it.
for unit in deploy/systemd/*.service; do
  sed 's|/usr/bin/penstock|/bin/true|' "$unit" >"$work/$(basename "$unit")"
done
said=$(systemd-analyze verify "$work"/*.service 2>&1) || { echo "$said" >&2; exit 1; }
[ -z "$said" ] || { echo "$said" >&2; exit 1; }
# 2.0 of 10: what is left is the network, which the roles are for.
systemd-analyze security --offline=true --threshold=20 --no-pager "$work"/penstock-sidecar.service >/dev/null

echo "compose file"
"$bin/compose" -format json deploy/compose/compose.yaml >"$work/compose.json"
"$penstock" check-config deploy/compose/cluster.toml >/dev/null
"$penstock" check-config config/cluster.toml >/dev/null

echo "Helm chart"
"$bin/helm" lint --strict deploy/helm/penstock >/dev/null
for kube in 1.27.0 1.30.0; do
  "$bin/helm" template ads deploy/helm/penstock --kube-version "$kube" >"$work/default.yaml"
  "$bin/helm" template ads deploy/helm/penstock --kube-version "$kube" --set existingSecret=secrets \
    --set networkPolicy.enabled=true --set sidecar.storageClass=fast --set panel.enabled=true >"$work/all.yaml"
  "$bin/kubectl-validate" --version "${kube%.*}" "$work/default.yaml" "$work/all.yaml" >"$work/said" 2>&1 \
    || { cat "$work/said" >&2; exit 1; }
done
# The kinds of Prometheus' operator have no schema here; what its rule holds is a rule file.
"$bin/helm" template ads deploy/helm/penstock --kube-version 1.30.0 --set serviceMonitor.enabled=true --set prometheusRule.enabled=true \
  --set dashboards.enabled=true >"$work/monitoring.yaml" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
python3 - "$work/monitoring.yaml" "$work/rules.yml" config/grafana/dashboards <<'PY'
import json, pathlib, re, sys, textwrap
text = pathlib.Path(sys.argv[1]).read_text()
rule = next(part for part in text.split("\n---\n") if "kind: PrometheusRule" in part)
pathlib.Path(sys.argv[2]).write_text(textwrap.dedent(rule[rule.index("  groups:"):]))
for path in pathlib.Path(sys.argv[3]).glob("*.json"):
    held = re.search(rf"^  {path.name}: (\".*\")$", text, re.M)
    assert held and json.loads(held[1]) == path.read_text(), f"the chart does not hold {path.name} as it is"
PY
if command -v promtool >/dev/null; then promtool check rules "$work/rules.yml" >/dev/null; fi
# The configuration inside it is one that the binary takes.
python3 - "$work/default.yaml" "$work/cluster.toml" <<'PY'
import re, sys, textwrap
text = open(sys.argv[1]).read()
body = re.search(r"^  cluster\.toml: \|\n((?:    .*\n|\n)+)", text, re.M).group(1)
open(sys.argv[2], "w").write(textwrap.dedent(body))
PY
"$penstock" check-config "$work/cluster.toml" >/dev/null
if "$bin/helm" template ads deploy/helm/penstock --kube-version 1.30.0 --set consumers.everything.replicas=1 >/dev/null 2>&1; then
  echo "the chart takes a consumer that there is not" >&2
  exit 1
fi
echo "all of deploy/ is valid"
