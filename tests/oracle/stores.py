"""Reads what the three stores hold, each with tools that are not the project's, and compares.

    stores.py --events E.ndjson --catalogue C.json --clickhouse URL --ledger ledger.db|mysql://…
              --archive DIR|hdfs://…|s3+http://… [--expected expected.json]

ClickHouse is asked over plain HTTP, the ledger is opened with sqlite3 or PyMySQL, the archive is
read with fastavro, from where it lies (sources.py). Prints every difference on a line; exit 0 when there is none, 1 otherwise.
"""
import argparse
import collections
import datetime
import io
import json
import sys
import urllib.parse
import urllib.request

import fastavro

import sources
import totals


def clickhouse(url, query):
    request = urllib.request.Request(url + "/?" + urllib.parse.urlencode({"query": query + " FORMAT JSONEachRow"}))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [json.loads(line) for line in answer.read().decode().splitlines()]


def of_clickhouse(url):
    by_campaign = collections.defaultdict(dict)
    spent, events = 0, 0
    for row in clickhouse(url, "SELECT campaign_id, type, toString(uniqExact(id)) AS n, toString(count()) AS lines, "
                               "toString(sum(cost_nanos)) AS nanos FROM penstock.events GROUP BY campaign_id, type"):
        if row["n"] != row["lines"]:
            print(f"clickhouse: {row} has rows that repeat an id")
        by_campaign[str(row["campaign_id"])][row["type"] + "s"] = int(row["n"])
        totals_of = by_campaign[str(row["campaign_id"])]
        totals_of["spent_nanos"] = totals_of.get("spent_nanos", 0) + int(row["nanos"])
        spent += int(row["nanos"])
        events += int(row["lines"])
    by_hour = {r["hour"]: int(r["n"]) for r in clickhouse(
        url, "SELECT concat(type, ' ', formatDateTime(time, '%Y-%m-%d %H', 'UTC')) AS hour, toString(count()) AS n "
             "FROM penstock.events GROUP BY hour")}
    minutes = {str(r["campaign_id"]): int(r["nanos"]) for r in clickhouse(
        url, "SELECT campaign_id, toString(sum(cost_nanos)) AS nanos FROM penstock.stats_minute GROUP BY campaign_id")}
    return {"events": events, "spent_nanos": spent, "by_campaign": by_campaign, "by_hour": by_hour}, minutes


def of_ledger(path):
    ask = sources.ledger(path)
    by_campaign = collections.defaultdict(collections.Counter)
    by_hour = collections.Counter()
    spent, events = 0, 0
    for campaign, hour, kind, count, nanos in ask(
            "SELECT campaign_id, hour, type, events, cost_nanos FROM ledger"):
        by_campaign[str(campaign)][kind + "s"] += count
        by_campaign[str(campaign)]["spent_nanos"] += nanos
        start = datetime.datetime.fromtimestamp(hour * 3600, datetime.timezone.utc)
        by_hour[start.strftime(f"{kind} %Y-%m-%d %H")] += count
        spent += nanos
        events += count
    stopped = sorted({row[0] for row in ask(
        "SELECT campaign_id FROM stops WHERE reason = 'total_budget'")})
    return {"events": events, "spent_nanos": spent, "by_campaign": by_campaign, "by_hour": by_hour}, stopped


def of_archive(root, catalogue_path):
    with open(catalogue_path, encoding="utf-8") as file:
        tags = json.load(file)["tags"]
    by_campaign = collections.defaultdict(collections.Counter)
    by_hour = collections.Counter()
    ids = collections.Counter()
    events = 0
    for parts, content in sources.archive(root):
        kind = parts[0]
        hour = "{} {}-{}-{} {}".format(kind, *[part.split("=")[1] for part in parts[1:5]])
        for record in fastavro.reader(io.BytesIO(content)):
            time = record["time"].astimezone(datetime.timezone.utc)
            if time.strftime(f"{kind} %Y-%m-%d %H") != hour:
                print(f"archive: {'/'.join(parts)} holds an event of {time}")
            campaign = record["campaign_id"] or tags.get(record["tag"], 0)
            by_campaign[str(campaign)][kind + "s"] += 1
            by_hour[hour] += 1
            ids[bytes(record["id"])] += 1
            events += 1
    repeated = [i.hex() for i, n in ids.items() if n > 1]
    if repeated:
        print(f"archive: {len(repeated)} ids stand more than once, e.g. {repeated[0]}")
    return {"events": events, "by_campaign": by_campaign, "by_hour": by_hour}, len(repeated)


def main():
    parser = argparse.ArgumentParser()
    for name in ("events", "catalogue", "clickhouse", "ledger", "archive"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--expected")
    given = parser.parse_args()
    want = totals.count(given.events, given.catalogue)
    wrong = []
    if given.expected:
        with open(given.expected, encoding="utf-8") as file:
            wrong += ["own count: " + line for line in totals.check(want, json.load(file))]

    statistics, minutes = of_clickhouse(given.clickhouse)
    ledger, stopped = of_ledger(given.ledger)
    archive, repeated = of_archive(given.archive, given.catalogue)
    for name, have in (("clickhouse", statistics), ("ledger", ledger), ("archive", archive)):
        for key in ("events", "spent_nanos"):
            if key in have and have[key] != want[key]:
                wrong.append(f"{name} {key}: have {have[key]}, want {want[key]}")
        if "by_hour" in have:
            wrong += totals.differences(f"{name} hour", have["by_hour"], want["by_hour"])
        for campaign in sorted(set(want["by_campaign"]) | set(have["by_campaign"])):
            wanted = dict(want["by_campaign"].get(campaign, {}))
            if name == "archive":
                wanted.pop("spent_nanos", None)
            wrong += totals.differences(f"{name} campaign {campaign}", have["by_campaign"].get(campaign, {}), wanted)
    for campaign, nanos in minutes.items():
        if nanos != want["by_campaign"].get(campaign, {}).get("spent_nanos", 0):
            wrong.append(f"stats_minute campaign {campaign}: {nanos} nanos")
    if stopped != want["stopped"]:
        wrong.append(f"stopped for total_budget: have {stopped}, want {want['stopped']}")
    if repeated:
        wrong.append(f"archive: {repeated} events stand more than once")
    for line in wrong:
        print(line)
    print(f"{want['events']} events, {want['spent_nanos']} nanos, {len(want['stopped'])} stopped: "
          + ("all three stores equal" if not wrong else f"{len(wrong)} differences"))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
