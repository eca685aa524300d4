# One NameNode and one DataNode; sourced by scripts/cluster.
# shellcheck shell=bash disable=SC2154

hdfs_property() { echo "  <property><name>$1</name><value>$2</value></property>"; }

hdfs_config() {
  local at=$dir/hdfs
  mkdir -p "$at/conf"
  {
    echo "<configuration>"
    hdfs_property fs.defaultFS "hdfs://127.0.0.1:$(port namenode)"
    hdfs_property hadoop.tmp.dir "$at/tmp"
    echo "</configuration>"
  } >"$at/conf/core-site.xml"
  {
    echo "<configuration>"
    hdfs_property dfs.replication 1
    hdfs_property dfs.permissions.enabled false
    hdfs_property dfs.namenode.name.dir "$at/name"
    hdfs_property dfs.datanode.data.dir "$at/data"
    hdfs_property dfs.namenode.http-address "127.0.0.1:$(port namenode-http)"
    hdfs_property dfs.datanode.address "127.0.0.1:$(port datanode)"
    hdfs_property dfs.datanode.ipc.address "127.0.0.1:$(port datanode-ipc)"
    hdfs_property dfs.datanode.http.address "127.0.0.1:$(port datanode-http)"
    # A name that resolves nowhere else must not matter.
    hdfs_property dfs.datanode.hostname 127.0.0.1
    hdfs_property dfs.namenode.datanode.registration.ip-hostname-check false
    # Otherwise a restart with data takes half a minute.
    hdfs_property dfs.namenode.safemode.extension 0
    hdfs_property dfs.heartbeat.interval 1
    hdfs_property dfs.namenode.heartbeat.recheck-interval 3000
    hdfs_property dfs.blocksize 16777216
    hdfs_property dfs.datanode.du.reserved 0
    echo "</configuration>"
  } >"$at/conf/hdfs-site.xml"
  # A host name of the machine that does not resolve ends the NameNode.
  echo "127.0.0.1 localhost $(hostname)" >"$at/hosts"
}

hdfs_java() {
  echo "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djdk.net.hosts.file=$dir/hdfs/hosts" \
    "-Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS -Dhadoop.log.dir=$dir/logs"
}
namenode=org.apache.hadoop.hdfs.server.namenode.NameNode

hdfs_says() {
  curl -fsS --max-time 2 "http://127.0.0.1:$(port namenode-http)/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState" | grep "$1" >/dev/null
}
namenode_ready() { hdfs_says '"FSState"'; }
hdfs_ready() { hdfs_says '"FSState" : "Operational"' && hdfs_says '"NumLiveDataNodes" : 1'; }

start_namenode() {
  need_part hdfs/lib
  if alive namenode; then return; fi
  hdfs_config
  local java
  read -ra java <<<"$(hdfs_java)"
  if [ ! -e "$dir/hdfs/name/current/VERSION" ]; then
    java -Xmx128m "${java[@]}" -cp "$dir/hdfs/conf:$parts/hdfs/lib/*" $namenode -format -nonInteractive \
      >"$dir/logs/namenode-format.log" 2>&1 </dev/null || { tell namenode-format; fail "HDFS cannot be formatted"; }
  fi
  run namenode java -Xmx192m "${java[@]}" -cp "$dir/hdfs/conf:$parts/hdfs/lib/*" $namenode
  await namenode 60 namenode_ready
}

start_datanode() {
  if alive datanode; then return; fi
  local java
  read -ra java <<<"$(hdfs_java)"
  run datanode java -Xmx192m "${java[@]}" -cp "$dir/hdfs/conf:$parts/hdfs/lib/*" org.apache.hadoop.hdfs.server.datanode.DataNode
  # Without its NameNode it waits, and so cannot be waited for.
  if alive namenode; then await datanode 60 hdfs_ready; fi
}

env_hdfs() {
  echo "PENSTOCK_TEST_HDFS=hdfs://127.0.0.1:$(port namenode)"
  # Hadoop's own client and its settings, with which tests look at what we wrote.
  echo "PENSTOCK_TEST_HDFS_CLASSPATH=$dir/hdfs/conf:$parts/hdfs/lib/*"
}
