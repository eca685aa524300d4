"""Holds what the panel's API answers against totals that other code has counted.

Reads the events and the catalogue itself (standard library alone) and asks a running panel over
HTTP. Every difference is printed; the exit status is 1 when there is one.
"""

import argparse
import collections
import csv
import io
import json
import sys
import urllib.parse
import urllib.request


def totals(events, catalogue):
    """Counts the events as an accountant would: by type, campaign, country, hour, user."""
    campaigns = {c["id"]: c for c in catalogue["campaigns"]}
    found = collections.Counter()
    cost = collections.Counter()
    users = set()
    times = []
    with open(events, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            payload, kind = event["payload"], event["type"]
            campaign = payload.get("campaign_id") or catalogue["tags"].get(payload.get("tag")) or 0
            if campaign not in campaigns:
                campaign = 0
            hour = event["time"][:13].replace("T", " ")
            found["type", kind] += 1
            found["campaign", campaign, kind] += 1
            found["hour", kind, hour] += 1
            found["country", payload.get("country", "")] += 1
            if payload.get("user_id"):
                users.add(payload["user_id"])
            times.append(event["time"])
            if campaign:
                rate = {"impression": ("cpm_micros", 1), "click": ("cpc_micros", 1000), "conversion": ("cpa_micros", 1000)}
                if "price_micros" in payload:
                    cost[campaign] += payload["price_micros"] * 1000
                elif kind in rate:
                    name, factor = rate[kind]
                    cost[campaign] += campaigns[campaign].get(name, 0) * factor
    return found, cost, users, min(times), max(times)


class Panel:
    def __init__(self, base):
        self.base = base

    def get(self, path, **params):
        query = urllib.parse.urlencode(params)
        with urllib.request.urlopen(f"{self.base}{path}?{query}", timeout=60) as answer:
            return answer.read().decode()

    def json(self, path, **params):
        return json.loads(self.get(path, **params))

    def graphql(self, query):
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.base}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def table(self, **params):
        result = self.json("/api/v1/explore", limit=1000, **params)["result"]
        assert not result["truncated"], params
        names = [c["name"] for c in result["columns"]]
        return [dict(zip(names, row, strict=True)) for row in result["rows"]]


def main():
    arguments = argparse.ArgumentParser()
    for name in ("panel", "events", "catalogue"):
        arguments.add_argument(f"--{name}", required=True)
    arguments.add_argument("--expected")
    given = arguments.parse_args()
    with open(given.catalogue, encoding="utf-8") as file:
        catalogue = json.load(file)
    found, cost, users, first, last = totals(given.events, catalogue)
    panel = Panel(given.panel)
    span = {"start_time": first[:10] + "T00:00:00Z", "end_time": last[:10] + "T23:59:59.999999Z"}
    wrong = []

    def equal(what, got, want):
        if got != want:
            wrong.append(f"{what}: the panel says {got!r}, counted are {want!r}")

    kinds = sorted({key[1] for key in found if key[0] == "type"})
    for kind in kinds:
        answer = panel.json("/api/v1/events/count", event_type=kind)
        equal(f"count of {kind}", answer["result"], found["type", kind])
    rows = panel.table(group_by="type", measures="events")
    equal("explore by type", {r["type"]: r["events"] for r in rows}, {k: found["type", k] for k in kinds})

    rows = panel.table(group_by="campaign_id", measures="clicks,conversions,impressions,visits,cost_nanos")
    by_campaign = {r["campaign_id"]: r for r in rows}
    for campaign in {key[1] for key in found if key[0] == "campaign"}:
        row = by_campaign.get(campaign, {})
        for kind in kinds:
            equal(f"campaign {campaign} {kind}", row.get(kind + "s", 0), found["campaign", campaign, kind])
        equal(f"campaign {campaign} cost", row.get("cost_nanos"), str(cost[campaign]))

    rows = panel.table(group_by="type,hour", measures="events", **span)
    hours = {("hour", r["type"], r["hour"][:13].replace("T", " ")): r["events"] for r in rows}
    equal("explore by hour", hours, {key: n for key, n in found.items() if key[0] == "hour"})

    exported = csv.DictReader(io.StringIO(panel.get("/api/v1/explore/export", group_by="type,hour", measures="events", **span)))
    from_file = {("hour", r["type"], r["hour"][:13].replace("T", " ")): int(r["events"]) for r in exported}
    equal("exported file", from_file, hours)

    unique = panel.json("/api/v1/analytics/users", step="1d", **span)["result"]["total"]
    # The function is exact for as few as these, give or take what its own page promises.
    if abs(unique - len(users)) > len(users) // 200:
        wrong.append(f"users: the panel says {unique}, counted are {len(users)}")

    top = panel.json("/api/v1/analytics/top", dimension="campaign_id", measure="events", limit=1)["result"]
    most = max((sum(n for key, n in found.items() if key[:2] == ("campaign", c)), c) for c in {k[1] for k in found if k[0] == "campaign"})
    equal("top campaign", top[0]["measure"], most[0])

    answer = panel.graphql("{ campaigns(first: 200) { nodes { campaignId kpis { clicks conversions } spentNanos } next } }")
    nodes = {n["campaignId"]: n for n in answer["data"]["campaigns"]["nodes"]}
    for row in panel.json("/api/v1/campaigns", limit=200)["result"]:
        node = nodes[row["campaign_id"]]
        equal(f"GraphQL and REST, campaign {row['campaign_id']}", node["spentNanos"], row["spent_nanos"])

    if given.expected:
        with open(given.expected, encoding="utf-8") as file:
            expected = json.load(file)
        equal("all clicks", found["type", "click"], expected["clicks"])
        equal("all conversions", found["type", "conversion"], expected["conversions"])
        for campaign, want in expected["by_campaign"].items():
            row, node = by_campaign.get(int(campaign), {}), nodes.get(int(campaign))
            equal(f"expected clicks of {campaign}", row.get("clicks", 0), want["clicks"])
            equal(f"expected conversions of {campaign}", row.get("conversions", 0), want["conversions"])
            equal(f"expected cost of {campaign}", row.get("cost_nanos", "0"), str(want["spent_nanos"]))
            if node:
                equal(f"expected spending of {campaign}", node["spentNanos"], str(want["spent_nanos"]))
        by_hour = {f"{kind} {hour}": n for (_, kind, hour), n in hours.items()}
        equal("expected hours", by_hour, expected["by_hour"])

    for line in wrong[:50]:
        print(line)
    print(f"{len(wrong)} differences" if wrong else "the panel's figures equal the counted ones")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
