"""Delivery: the spool, one request per server version, what to send next and what to do with an answer."""
