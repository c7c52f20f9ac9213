"""From lines to acknowledged lines: the spool on disk, and one sender an output.

    put ──▶ Spool ──▶ Sender ──▶ HttpClient ──▶ server
            (SQLite)  (what next,  (one exchange,  │
               ▲       what of      a deadline)    │
               └─ ack ─ the answer) ◀── classify ◀─┘

Only what a server acknowledged leaves the spool, or what a cap or a server's verdict on a line drops, counted.
"""
