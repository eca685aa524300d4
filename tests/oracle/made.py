"""Makes a catalogue and events for the tests where no real ones are at hand.

    made.py FOLDER    writes FOLDER/campaigns.json and FOLDER/events.ndjson, the same each time
"""
import json
import pathlib
import random
import sys
import uuid


def main(folder):
    pick = random.Random(20171106)
    advertisers = [{"id": i, "name": f"advertiser {i}", "currency": "USD", "balance_micros": 10**12}
                   for i in range(1, 11)]
    campaigns = [{"id": 1000 + i, "name": f"app {i}", "advertiser_id": i % 10 + 1, "cpm_micros": 500 * (i % 5 + 1),
                  "cpc_micros": 1000 * (i % 7 + 1), "cpa_micros": 250000} for i in range(1, 51)]
    for campaign in campaigns[:6]:
        campaign["total_budget_micros"] = 300_000
    tags = {f"app{i % 50 + 1}-ch{i}": 1001 + i % 50 for i in range(200)}
    names = sorted(tags)
    folder.joinpath("campaigns.json").write_text(
        json.dumps({"advertisers": advertisers, "campaigns": campaigns, "tags": tags}), encoding="utf-8")
    with open(folder / "events.ndjson", "w", encoding="utf-8") as file:
        for i in range(20_000):
            kind = pick.choices(["click", "impression", "visit", "conversion"], [60, 30, 9, 1])[0]
            second = i * 12
            time = f"2017-11-{6 + second // 86400:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z"
            payload = {"tag": pick.choice(names), "user_id": f"u{pick.randrange(5000)}", "device": "1"}
            if kind == "conversion":
                payload["goal"] = "sale"
            file.write(json.dumps({"type": kind, "id": str(uuid.UUID(int=pick.getrandbits(128), version=4)),
                                   "time": time, "payload": payload}) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
