"""A trained model on disk: its folder, card and thresholds, and everything that loads, imports or averages one."""
