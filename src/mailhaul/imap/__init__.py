"""The IMAP protocol without I/O, and one driver that waits (`client`)."""
