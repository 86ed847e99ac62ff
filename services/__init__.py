"""The three services of Tripod. They import `shared`, never each other."""
