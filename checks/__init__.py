"""The checks: one topic, one file; see CONTRIBUTING.md."""
