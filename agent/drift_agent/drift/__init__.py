"""How an instance left its image: compare, check, watch, detector."""
