"""Both ends of the admin API's contract."""
