"""The cleaners: one topic, one file; see CONTRIBUTING.md."""
