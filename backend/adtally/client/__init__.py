"""What a member or an auditor runs on its own side of the wire.

Nothing here trusts the service: batches are signed before they leave, and receipts are checked
before they are returned.
"""
