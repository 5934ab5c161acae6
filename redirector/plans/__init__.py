"""What an operation of many steps does next, at the command line and on the dashboard."""
