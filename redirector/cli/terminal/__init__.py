"""How commands speak to people."""
