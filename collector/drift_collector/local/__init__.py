"""Everything on one machine: `drift up` and `drift demo`."""
