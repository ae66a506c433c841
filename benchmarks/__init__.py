"""Measurements; tests never take the time of anything."""
