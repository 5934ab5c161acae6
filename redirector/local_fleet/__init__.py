"""The fleet that `tmpnb up` runs on this machine: a redirector and its nodes, as processes that it supervises."""
