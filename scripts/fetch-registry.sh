#!/usr/bin/env bash
# Fetches the schema registry into the folder given, unpacks it and checks that its program is whole.
set -euo pipefail
target=$1
"$(dirname "$0")/fetch-maven.sh" registry "the schema registry (109 MB)" "$target" copy
for archive in "$target"/lib/*.tar.gz; do tar -xzf "$archive" -C "$target"; done
rm -f "$target"/lib/*.tar.gz
runner=$(echo "$target"/apicurio-registry-app-*-runner.jar)
if ! python3 -m zipfile -t "$runner" >/dev/null; then
  echo "make: the schema registry was fetched into $target, but $runner is not a whole program" >&2
  exit 1
fi
touch "$target/.ready"
echo "the schema registry is in $target" >&2
