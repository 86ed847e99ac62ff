"""`python -m deploy`: run the embedded stack, or show what it can do."""

from deploy.cli import main

if __name__ == "__main__":
    main()
