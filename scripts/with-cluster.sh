#!/usr/bin/env bash
# Runs a command with the test servers up and their addresses in its environment, and takes the
# servers down again however the command ends. Their logs stay in DIR/logs until the next run.
# usage: with-cluster.sh DIR PARTS COMMAND…      (PARTS: a list in one word, "kafka mariadb", or "")
set -euo pipefail
dir=$1
read -ra parts <<<"$2"
shift 2
cluster=$(cd "$(dirname "$0")" && pwd)/cluster

child=
down() {
  trap '' INT TERM
  if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null && wait "$child" || true; fi
  "$cluster" down "$dir" --now
  # What they held was the tests'.
  (cd "$dir" && rm -rf kafka kafka.id mariadb hdfs registry s3 engine)
}

# Servers of a run that was killed are still there: they are ended, and their data is gone.
down
trap down EXIT
trap 'exit 130' INT TERM
"$cluster" up "$dir" "${parts[@]}" >/dev/null
set -a
# shellcheck source=/dev/null
. "$dir/env"
set +a
"$@" &
child=$!
code=0
wait "$child" || code=$?
child=
exit "$code"
