"""`python -m shared.cli` is `tripod`."""

from shared.cli import main

if __name__ == "__main__":
    main()
