"""Attestors' cosigner keys and cosignatures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cosigners",
        sa.Column("public_key", sa.LargeBinary(32), nullable=False),
        sa.Column("attestor", sa.LargeBinary(20), nullable=False),
        sa.Column("declared_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(65), nullable=False),
        sa.PrimaryKeyConstraint("public_key", name="pk_cosigners"),
    )
    op.create_table(
        "cosignatures",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary(32), nullable=False),
        sa.Column("timestamped_signature", sa.LargeBinary(72), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", "public_key", name="pk_cosignatures"),
    )


def downgrade() -> None:
    op.drop_table("cosignatures")
    op.drop_table("cosigners")
