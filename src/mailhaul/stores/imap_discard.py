"""Taking back a scratch folder on an IMAP server (`core.store.Discards`).

DELETE takes a folder with all that is in it, so that it is looked at first, from outside, and
never sent for a folder that holds anything. What arrives between the look and the command would
go with it; nothing delivers into a folder that mailhaul made a moment ago under a random name.
"""

from mailhaul.core.folder import INBOX_PATH, Folder
from mailhaul.imap import commands
from mailhaul.imap.commands import StatusAttribute
from mailhaul.imap.pending import Pending
from mailhaul.imap.responses import Untagged
from mailhaul.stores.imap_folders import Survey
from mailhaul.stores.imap_mailbox import Mailbox


async def discard(mailbox: Mailbox, folder: Folder) -> bool:
    """`Discards.discard`."""
    if folder.path == INBOX_PATH:
        return False
    if any(path[:-1] == folder.path for path in mailbox.known):
        return False
    lane = mailbox.lane(folder.native)
    async with lane.alone():
        session = await lane.ready()
        # A folder that is open can't be deleted everywhere (RFC 9051 6.3.5), nor looked at well.
        lane.let_go(session, "UNSELECT" in mailbox.extensions)
        if "UNSELECT" not in mailbox.extensions:
            await (await lane.ask_in("INBOX"))[0].pending.done()
        looked = session.send(commands.status(folder.native, [StatusAttribute.MESSAGES]))
        status = await looked.done()
        if status.kind == b"OK" and _messages(looked) == 0:
            await session.send(commands.delete(folder.native)).done()
    mailbox.forget(folder.path)
    return folder.path not in {each.path for each in await mailbox.folders() if each.selectable}


def _messages(looked: Pending) -> int | None:
    if not any(isinstance(event, Untagged) for event in looked.events):
        return None
    survey = Survey()
    survey.take(looked.events)
    return next(iter(survey.status.values()), {}).get("MESSAGES")
