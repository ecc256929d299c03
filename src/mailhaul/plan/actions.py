"""The names of what the log tells, of which webhooks choose theirs.

The journey records them; a test compares. They stand here because a plan is read without it.
"""

ACTIONS = (
    *("loaded", "started", "plan_paused", "plan_resumed", "plan_cancelled", "plan_completed"),
    *("gate_opened", "approved", "delayed", "pass_ended", "way_back"),
    # What is seen of domains, and what moves them on.
    *("domain_seen", "domain_spread", "domain_sent", "domain_switched", "domain_recalled"),
    *("domain_returned", "domain_failed", "domain_retried", "sweeps_ended", "step_done"),
    *("canary_asked", "canary_sent", "canary_seen"),
    # What moves an account on at its providers.
    *("account_agreed", "account_moved", "account_turned", "account_recalled"),
    *("account_kept", "account_undone", "account_failed", "account_retried", "account_released"),
    *("account_retired", "account_step"),
    # What persons have had written to zones apart from the switch.
    *("zone_writing", "zone_written", "zone_put_back", "zone_failed"),
    # What a person has had made at the target.
    "objects_made",
    # What moves a mailbox on, in the order of its journey.
    *("checked", "blocked", "admitted", "begun", "sliced", "carried", "touched_up", "went"),
    *("swept", "quiet", "verified", "signed", "again", "refused", "answered", "failed"),
    *("changed", "retried", "paused", "resumed", "cancelled", "undo", "recalled", "hindered"),
    *("turned_back", "brought_back", "back", "taken_back", "undone"),
)
