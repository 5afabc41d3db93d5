"""Steady state: a whole deployment under mixed traffic for minutes, watched from outside."""
