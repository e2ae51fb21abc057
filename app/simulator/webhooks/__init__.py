"""Webhooks: who subscribed to what, the events, and their delivery."""
