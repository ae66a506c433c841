"""The checks: one topic, one file; see docs/writing-a-check.md."""
