"""Counts what the three stores must hold, without any of the project's code.

    totals.py EVENTS.ndjson CATALOGUE.json            prints the expected totals as JSON
    totals.py --check EXPECTED.json EVENTS CATALOGUE  also holds them against given totals

The price of an event is its price_micros, else the campaign's rate for its type; an event id of
a click or a conversion that comes again is charged once.
"""
import collections
import json
import sys


def count(events_path, catalogue_path):
    with open(catalogue_path, encoding="utf-8") as file:
        catalogue = json.load(file)
    campaigns = {c["id"]: c for c in catalogue["campaigns"]}
    tags = catalogue["tags"]
    by_campaign = collections.defaultdict(lambda: collections.Counter())
    by_hour = collections.Counter()
    by_type = collections.Counter()
    seen = set()
    spent = 0
    with open(events_path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            kind, payload = event["type"], event["payload"]
            campaign = payload.get("campaign_id") or tags.get(payload.get("tag"))
            rates = campaigns.get(campaign)
            if "price_micros" in payload:
                nanos = payload["price_micros"] * 1000
            elif kind == "impression":
                nanos = rates.get("cpm_micros", 0) if rates else 0
            elif kind in ("click", "conversion"):
                nanos = rates.get({"click": "cpc_micros", "conversion": "cpa_micros"}[kind], 0) * 1000 if rates else 0
            else:
                nanos = 0
            if rates is None:
                campaign, nanos = 0, 0
            if kind in ("click", "conversion") and event.get("id"):
                if event["id"] in seen:
                    continue
                seen.add(event["id"])
            by_campaign[campaign][kind + "s"] += 1
            by_campaign[campaign]["spent_nanos"] += nanos
            by_type[kind] += 1
            by_hour[f"{kind} {event['time'][:10]} {event['time'][11:13]}"] += 1
            spent += nanos
    stopped = sorted(
        c["id"]
        for c in catalogue["campaigns"]
        if c.get("total_budget_micros") is not None
        and by_campaign[c["id"]]["spent_nanos"] >= c["total_budget_micros"] * 1000
    )
    return {
        "events": sum(by_type.values()),
        "spent_nanos": spent,
        "by_type": dict(by_type),
        "by_campaign": {str(k): dict(v) for k, v in by_campaign.items() if any(v.values())},
        "by_hour": dict(by_hour),
        "stopped": stopped,
    }


def differences(name, have, want):
    """Lines that say where two dictionaries of numbers differ; absent counts as 0."""
    return [f"{name} {key}: have {have.get(key, 0)}, want {want.get(key, 0)}"
            for key in sorted(set(have) | set(want)) if have.get(key, 0) != want.get(key, 0)]


def check(totals, expected):
    """Holds our totals against totals that somebody else counted."""
    found = []
    for key in ("events", "spent_nanos"):
        if totals[key] != expected[key]:
            found.append(f"{key}: have {totals[key]}, want {expected[key]}")
    found += differences("hour", totals["by_hour"], expected["by_hour"])
    for campaign in set(totals["by_campaign"]) | set(expected["by_campaign"]):
        found += differences(f"campaign {campaign}", totals["by_campaign"].get(campaign, {}),
                             expected["by_campaign"].get(campaign, {}))
    return found


if __name__ == "__main__":
    arguments = sys.argv[1:]
    expected = None
    if arguments[:1] == ["--check"]:
        with open(arguments[1], encoding="utf-8") as file:
            expected = json.load(file)
        arguments = arguments[2:]
    totals = count(*arguments)
    json.dump(totals, sys.stdout, indent=1)
    print()
    if expected is not None:
        wrong = check(totals, expected)
        if wrong:
            sys.exit("\n".join(wrong))
