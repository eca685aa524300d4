#!/usr/bin/env bash
# Fetches HDFS into the folder given and checks that it runs.
set -euo pipefail
target=$1
"$(dirname "$0")/fetch-maven.sh" hdfs "HDFS (93 MB)" "$target"
if ! said=$(java -cp "$target/lib/*" org.apache.hadoop.util.VersionInfo 2>&1) || [[ $said != Hadoop* ]]; then
  printf '%s\nmake: HDFS was fetched into %s, but does not run\n' "$said" "$target" >&2
  exit 1
fi
touch "$target/.ready"
echo "HDFS (${said%%$'\n'*}) is in $target" >&2
