"""An upgrade's changes as bumps that can be taken or held back, and the search for those that break it."""
