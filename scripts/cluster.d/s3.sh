# An S3 server that keeps its objects in memory; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

start_s3() {
  need_part s3
  if alive s3; then return; fi
  mkdir -p "$dir/s3"
  run s3 "$parts/s3/bin/moto_server" -H 127.0.0.1 -p "$(port s3)"
  # Any keys are good ones. The bucket is the one of the examples; tests may make their own.
  await s3 60 curl -fsS --max-time 5 -o /dev/null -X PUT "http://127.0.0.1:$(port s3)/penstock"
}

env_s3() { echo "PENSTOCK_TEST_S3=http://127.0.0.1:$(port s3)"; }
