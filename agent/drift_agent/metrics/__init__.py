"""One file a subject, and one ordered list of them."""
