"""Logs: what apps print, the drains it goes to, and what add-ons write."""
