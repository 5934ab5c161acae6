"""Makes what runs on this host what should run."""
