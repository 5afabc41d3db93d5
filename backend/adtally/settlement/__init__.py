"""Pure money arithmetic: rates, accrual, statements and the claim tree."""
