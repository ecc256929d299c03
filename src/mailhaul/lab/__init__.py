"""A rehearsal on one machine: embedded servers and sample mail, for `make demo` and tests."""
