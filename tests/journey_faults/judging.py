"""What is wrong with a house once its journey has ended: mail, rows, log, gates, outbox, report."""

import json

from tests.journey_faults.house import NAME, TOLD, House
from tests.journey_faults.seen import ONCE


def wrong_in_the_end(house: House) -> list[str]:
    """Everything that is not as it should be, as sentences."""
    seen = house.seen
    steps = ONCE
    wrong = [each for owner in house.owners for each in owner.wrong()]
    wrong += seen.wrong_log()
    wrong += seen.wrong_steps(steps)
    wrong += seen.wrong_passes()
    wrong += seen.wrong_gates(house.gates)
    if house.wishes.webhook:
        wrong += seen.wrong_outbox(TOLD)
    wrong += house.wrong_status()
    wrong += wrong_report(house)
    return [f"{house.home.name}: {each}" for each in wrong]


def wrong_report(house: House) -> list[str]:
    """Where the report's figures differ from what the oracle counts, mailbox by mailbox and folder
    by folder: everything at the old system is at the new one, by mailhaul's doing."""
    out = house.home / "report"
    house.must("report", NAME, "--out", str(out))
    told = json.loads((out / "report.json").read_text())
    wrong = []
    mailboxes = {each["address"]: each for each in told["mailboxes"]}
    total = 0
    for owner in house.owners:
        census = owner.census()
        total += sum(census.values())
        found = mailboxes[owner.address]
        account = found["account"]
        if account["census"] != sum(census.values()) or account["copied"] != account["census"]:
            wrong.append(f"report: {owner.address} {account}, counted {sum(census.values())}")
        folders = {each["source"]: each["account"]["census"] for each in found["folders"]}
        wanted = {name.replace("M&AOQ-rz", "März"): count for name, count in census.items()}
        if folders != wanted:
            wrong.append(f"report: {owner.address} {folders}, counted {wanted}")
        carried = sum(each["carried"] for each in found["passes"])
        if carried < account["copied"]:
            passes = [(each["kind"], each["outcome"], each["carried"]) for each in found["passes"]]
            wrong.append(f"report: {owner.address} passes carried {carried} of {account}: {passes}")
    if told["account"]["census"] != total:
        wrong.append(f"report: {told['account']}, counted {total}")
    return wrong
