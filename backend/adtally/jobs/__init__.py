"""What runs by itself: facts, anchors, settlements, payments, reconciliation."""
