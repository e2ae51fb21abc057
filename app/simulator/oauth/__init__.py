"""Who may ask: grants and tokens of add-ons, authorizations and clients of people."""
