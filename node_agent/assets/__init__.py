"""The scripts that all sandboxes of an image share."""
