"""What an Ethereum block commits to, byte by byte: RLP, Patricia tries, headers, receipts. Pure."""
