#!/usr/bin/env bash
# Checks what is below config/prometheus and config/grafana with their own tools.
#
#   alerts-check.sh GRAFANA
#
# GRAFANA holds node_modules with Grafana's types and tsc (`make alerts-check` fetches them). That every
# series named here is one that the code has is a Rust test (src/telemetry/tests.rs), that ClickHouse
# takes the queries another one (panel/tests/it/real_engine/grafana.rs).
set -euo pipefail
cd "$(dirname "$0")/.."
grafana=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Its output is only of interest when something is wrong.
quietly() { "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }; }

echo "Prometheus: rules, configuration, tests of the rules"
quietly promtool check rules config/prometheus/rules/*.yml
quietly promtool check config config/prometheus/prometheus.yml
cp deploy/compose/prometheus.yml "$work/compose.yml"
ln -s "$PWD/config/prometheus/rules" "$work/rules"
quietly promtool check config "$work/compose.yml"
(cd config/prometheus/tests && quietly promtool test rules ./*.yml)
if command -v amtool >/dev/null; then quietly amtool check-config config/prometheus/alertmanager.yml; fi

echo "alerts, runbooks, dashboards: each names what there is"
scripts/alerts_check.py "$work/dashboards.yml"
quietly promtool check rules "$work/dashboards.yml"

echo "dashboards against Grafana's own types"
node parts/grafana/typed.mjs config/grafana/dashboards "$grafana/check"
quietly "$grafana/node_modules/.bin/tsc" -p "$grafana/check"
echo "alerts and dashboards are valid"
