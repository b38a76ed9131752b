"""Values and what follows from them: opens no file, starts nothing."""
