"""The control database (SQLAlchemy, Alembic)."""
