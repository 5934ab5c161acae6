"""What runs inside a sandbox, and what the agent asks of it."""
