"""The names of what the log tells, of which webhooks choose theirs.

The journey records them; a test compares. They stand here because a plan is read without it.
"""

ACTIONS = (
    *("loaded", "started", "plan_paused", "plan_resumed", "plan_cancelled", "plan_completed"),
    *("gate_opened", "approved", "delayed", "pass_ended"),
    # What moves a mailbox on, in the order of its journey.
    *("checked", "blocked", "admitted", "begun", "sliced", "carried", "touched_up", "went"),
    *("swept", "quiet", "verified", "signed", "again", "refused", "answered", "failed"),
    *("changed", "retried", "paused", "resumed", "cancelled", "undo", "recalled", "hindered"),
    *("taken_back", "undone"),
)
