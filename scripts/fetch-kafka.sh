#!/usr/bin/env bash
# Fetches Apache Kafka into the folder given and checks that its tools run.
set -euo pipefail
target=$1
"$(dirname "$0")/fetch-maven.sh" kafka "Apache Kafka (54 MB)" "$target"
if ! id=$(java -cp "$target/lib/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=error kafka.tools.StorageTool random-uuid); then
  echo "make: Apache Kafka was fetched into $target, but its StorageTool does not run" >&2
  exit 1
fi
[ ${#id} -eq 22 ] || { echo "make: Kafka's StorageTool made the id '$id', which is none" >&2; exit 1; }
touch "$target/.ready"
echo "Apache Kafka is in $target" >&2
