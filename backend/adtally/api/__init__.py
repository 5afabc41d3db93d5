"""FastAPI routes, schemas, and errors as RFC 9457 problem details."""
