"""The redirector: the fleet's public entry and its control plane."""
