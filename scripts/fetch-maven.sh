#!/usr/bin/env bash
# Fetches what a pom of ours names, by pinned versions and Maven's checksums, and puts it in place
# whole or not at all.
# usage: fetch-maven.sh NAME WHAT TARGET [GOAL]     (reads parts/NAME/pom.xml, writes the files to TARGET/lib)
set -euo pipefail
name=$1 what=$2 target=$3 goal=${4:-copy-dependencies}
here=$(cd "$(dirname "$0")/.." && pwd)

echo "fetching $what" >&2
rm -rf "$target.new"
mkdir -p "$target.new"
cp "$here/parts/$name/pom.xml" "$target.new/pom.xml"
# -C: a file whose checksum is wrong is an error, not a warning.
if ! (cd "$target.new" && mvn -q -B -C "dependency:$goal" -DoutputDirectory=lib >maven.log 2>&1); then
  tail -n 15 "$target.new/maven.log" >&2
  echo "make: Maven could not fetch the artifacts of parts/$name/pom.xml" >&2
  exit 1
fi
rm -f "$target.new/maven.log"
rm -rf "$target"
mv "$target.new" "$target"
