"""The fleet's verbs. `placing` finds a sandbox for a visitor, `control` does what operators ask, `view` and `tally` are
what one worker knows meanwhile, `reports` is what it has to tell the others.
"""
