"""One pass over one mailbox pair: list, decide, carry, record, verify. Knows stores by contract."""
