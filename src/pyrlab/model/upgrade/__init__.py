"""What an upgrade is made of: what it tries, what it holds back, and what it shows for it."""
