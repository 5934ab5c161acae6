"""Numbers about visitors, and their form for Prometheus."""
