"""What documents say: their words, their title, how long they are, and a picture of their first page."""
