"""General panels over our table, for comparison; they run where these packages are installed."""
