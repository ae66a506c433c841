"""The JSON Schemas of the reports."""
