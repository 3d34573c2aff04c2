"""Real crashes: the server under the load of Postfix's smtp-source, killed or with its disk cut off, and counted.

    smtp-source ──► proxy ──► server ──► Maildirs
                      │          └─────► sink
                      ▼
                   ledger: what was answered 250, by the queue id in the answer

Nothing is taken on the server's word but that id: the proxy notes what crossed the wire, the Maildirs and the sink show
what was delivered, and the ledger compares. `scripts/crash` runs it.
"""
