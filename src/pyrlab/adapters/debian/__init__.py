"""What apt answers, and Debian archives."""
