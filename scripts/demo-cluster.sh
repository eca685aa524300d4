#!/usr/bin/env bash
# The main job on real servers, a process for each role: Kafka, MariaDB, HDFS, registry and the
# ClickHouse engine up, two sidecars, three consumers and the panel, load, reconcile, everything down.
# usage: demo-cluster.sh PENSTOCK_BINARY      (called by `make demo-cluster`)
# With DEMO_CAPACITY=FIGURES.json what an event costs is measured into that file (`make capacity-measure`).
set -euo pipefail
penstock=$1
here=$(cd "$(dirname "$0")/.." && pwd)
data=$here/data/demo-cluster
rate=${DEMO_RATE:-2000}
seconds=${DEMO_SECONDS:-20}
export PENSTOCK_BINARY=$penstock

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

names=()
pids=()
stop_roles() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=()
}
finish() {
  trap '' INT TERM
  stop_roles
  "$here/scripts/cluster" down "$data/servers" --now
  # What was noted before the load is of no use to anybody when the measurement did not end.
  [ -z "${DEMO_CAPACITY:-}" ] || rm -f "$DEMO_CAPACITY.before"
}

"$here/scripts/cluster" down "$data/servers" --now
rm -rf "$data"
mkdir -p "$data"
trap finish EXIT
trap 'exit 130' INT TERM

say "real servers: Kafka (three brokers), MariaDB, HDFS, schema registry, ClickHouse engine"
"$here/scripts/cluster" up "$data/servers" kafka mariadb hdfs registry engine
# shellcheck source=/dev/null
. "$data/servers/env"
server=${PENSTOCK_TEST_MARIADB#mysql://root@}
mariadb --no-defaults --protocol=tcp --host="${server%%:*}" --port="${server##*:}" --user=root --skip-ssl \
  --execute 'CREATE DATABASE penstock'

# Ports of the roles: free ones, kept for this run.
touch "$data/ports"
roles=(panel sidecar-1 sidecar-2 statistics balances archive)
python3 "$here/scripts/cluster.d/ports.py" "$data/ports" "${roles[@]}"
address() { echo "127.0.0.1:$(sed -n "s/^$1=//p" "$data/ports")"; }
quoted() { local IFS=,; printf '"%s"' "${1//,/\", \"}"; }

cat >"$data/cluster.toml" <<TOML
[kafka]
brokers = [$(quoted "$PENSTOCK_TEST_KAFKA")]
# Few, for short tables; a real cluster has more.
partitions = ${DEMO_PARTITIONS:-2}

[registry]
urls = ["$PENSTOCK_TEST_REGISTRY"]

[ledger]
url = "$PENSTOCK_TEST_MARIADB/penstock"

[statistics]
url = "$PENSTOCK_TEST_CLICKHOUSE"
user = "penstock"
password = { file = "$PENSTOCK_TEST_PASSWORD_FILE" }

[archive]
url = "$PENSTOCK_TEST_HDFS/penstock"
max_age = "2s"

[panel]
roles = ["http://$(address sidecar-1)", "http://$(address sidecar-2)", "http://$(address statistics)", "http://$(address balances)", "http://$(address archive)"]
TOML

# role NAME ARGUMENT…: starts a process of its own; its log is data/demo-cluster/NAME.log
role() {
  local name=$1
  shift
  "$penstock" "$@" --config "$data/cluster.toml" --data "$data/$name" --listen "$(address "$name")" >"$data/$name.log" 2>&1 &
  pids+=($!)
  names+=("$name")
}
ready() {
  local name i
  for name; do
    for ((i = 0; i < 900; i++)); do
      if curl -fsS -o /dev/null "http://$(address "$name")/readyz" 2>/dev/null; then continue 2; fi
      sleep 0.1
    done
    echo "$name is not ready: $(curl -sS "http://$(address "$name")/readyz" 2>&1 || true)" >&2
    tail -n 20 "$data/$name.log" >&2
    exit 1
  done
}

# The sum of a counter over both sidecars.
counted() {
  local name
  for name in sidecar-1 sidecar-2; do curl -fsS "http://$(address "$name")/metrics"; done |
    awk -v name="^$1" '$0 ~ name {n += $NF} END {printf "%d\n", n}'
}
# Bytes of all files below these folders whose paths match.
bytes() {
  local path=$1
  shift
  find "$@" -type f -path "$path" -printf '%s\n' | awk '{n += $1} END {printf "%d\n", n}'
}
# measure EVENTS: notes what has been used so far (0), or writes what each of the events has cost since.
measure() {
  local i role of=() at=$data/servers
  for i in "${!names[@]}"; do
    role=${names[$i]}
    case $role in
      panel) continue ;;
      sidecar-*) role=sidecar ;;
      *) role="consume $role" ;;
    esac
    of+=("$role=${pids[$i]}")
  done
  for i in "$at"/pids/kafka[0-9]*; do of+=("Kafka, three brokers=$(cut -d' ' -f1 "$i")"); done
  of+=("ClickHouse=$(cut -d' ' -f1 "$at/pids/engine")" "MariaDB=$(cut -d' ' -f1 "$at/pids/mariadb")")
  "$here/scripts/capacity.py" measure "$DEMO_CAPACITY" --events "$1" "${of[@]}" \
    --disk spool="$(counted penstock_spool_written_bytes_total)" \
    --disk kafka="$(bytes '*/ads.*.log' "$at"/kafka/[0-9]*/data | awk '{print int($1 / 3)}')" \
    --disk archive="$(bytes '*/blk_*[0-9]' "$at/hdfs/data")" \
    --disk clickhouse="$(curl -fsS "$PENSTOCK_TEST_CLICKHOUSE/" --data-binary \
      "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'penstock'")"
}

say "topics"
"$penstock" topics apply --yes --config "$data/cluster.toml"

say "a process for each role: the panel, two sidecars, a consumer for statistics, balances, archive"
# In any order: each waits for what it needs.
role panel panel
role sidecar-1 sidecar
role sidecar-2 sidecar
role statistics consume statistics
role balances consume balances
role archive consume archive
ready "${names[@]}"
for name in "${names[@]}"; do echo "  $name on $(address "$name")"; done

say "a made-up catalogue: 100 campaigns, 1000 tags"
export PENSTOCK_PANEL=http://$(address panel)
"$penstock" seed --campaigns 100 --tags 1000

# load SECONDS: the publisher simulator on both sidecars.
load() {
  local other
  PENSTOCK_SIDECAR=http://$(address sidecar-1) "$penstock" simulate --rate "$rate" --duration "${1}s" >"$data/simulate-1.log" 2>&1 &
  other=$!
  PENSTOCK_SIDECAR=http://$(address sidecar-2) "$penstock" simulate --rate "$rate" --duration "${1}s"
  wait "$other" || { tail -n 20 "$data/simulate-1.log" >&2; exit 1; }
  tail -n 3 "$data/simulate-1.log"
}

measured_from=0
if [ -n "${DEMO_CAPACITY:-}" ]; then
  # Servers that have just started compile their code first, which is not what an event costs.
  say "warming up for ${DEMO_WARM_UP:-60} s"
  load "${DEMO_WARM_UP:-60}"
  "$penstock" reconcile --wait 120s
  measure 0
  measured_from=$(counted penstock_intake_accepted_events_total)
fi

say "the publisher simulator on both sidecars: twice $rate events a second for $seconds s"
load "$seconds"

say "waiting until all is taken in, and comparing acknowledged, archived, counted and charged"
"$penstock" reconcile --wait 120s

if [ -n "${DEMO_CAPACITY:-}" ]; then measure $(($(counted penstock_intake_accepted_events_total) - measured_from)); fi

say "counts per type, from ClickHouse"
curl -fsS "$PENSTOCK_TEST_CLICKHOUSE/" --data-binary \
  "SELECT type, count() AS events, sum(cost_nanos) / 1e9 AS cost FROM penstock.events GROUP BY type ORDER BY events DESC FORMAT PrettyCompactMonoBlock"

say "the roles, their lag, and the campaigns that were stopped"
"$penstock" status

say "draining and stopping"
for i in "${!pids[@]}"; do kill -TERM "${pids[$i]}"; done
for i in "${!pids[@]}"; do
  wait "${pids[$i]}" || { echo "${names[$i]} ended badly, see $data/${names[$i]}.log" >&2; exit 1; }
done
pids=()
"$here/scripts/cluster" down "$data/servers"
trap - EXIT

cat <<TEXT

All of it stopped again; nothing is left running. To look further:
  $data/cluster.toml       the configuration of all roles
  config/cluster.toml      every key, explained
  make cluster             the servers alone, their addresses in .parts/cluster/env
  docs/operations.md
TEXT
