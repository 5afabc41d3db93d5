"""What is measured of the contracts, and how their tests are tested; see __main__.py."""
