# The schema registry, on a database file, so that ids survive a kill; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

start_registry() {
  need_part registry
  if alive registry; then return; fi
  mkdir -p "$dir/registry"
  local jar
  jar=$(echo "$parts"/registry/apicurio-registry-app-*-runner.jar)
  run registry java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$(port registry)" \
    -Dquarkus.management.host=127.0.0.1 "-Dquarkus.management.port=$(port registry-management)" \
    "-Dapicurio.datasource.url=jdbc:h2:file:$dir/registry/db" \
    -jar "$jar"
  await registry 90 curl -fsS --max-time 2 -o /dev/null "http://127.0.0.1:$(port registry)/health/ready"
}

env_registry() { echo "PENSTOCK_TEST_REGISTRY=http://127.0.0.1:$(port registry)/apis/ccompat/v7"; }
