"""Compile, deploy, contract bindings, transaction outbox, watcher, local nodes."""
